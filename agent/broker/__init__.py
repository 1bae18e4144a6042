"""Signing beyond one machine: jobs for cards in other computers' readers, by way of a message broker.

The broker is NATS with JetStream, which a hospital runs and others keep. `messages.py` is what is said,
`connection.py` how the broker is reached, `streams.py` what is kept there, `worker.py` who signs,
`submit.py` who asks for it and `results.py` what it takes for an answer.
"""
