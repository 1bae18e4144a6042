"""Cards that only their maker's PKCS#11 module can use (PKCS#11, OASIS, 2.40).

A module is somebody else's machine code: it may print, hang, or crash. It is loaded in a process of its own
(`child`), which is spoken to over pipes (`client`), so that the worst that it can do is fail one request.
"""
