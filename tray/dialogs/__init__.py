"""The windows, each in a short-lived process of its own: consent, PIN, choice of a card and the rest.

`hca-agent window KIND` runs one: it reads one message from standard input, shows it, writes one answer to
standard output, and ends. It is the only code here that touches a toolkit (Tk).
"""
