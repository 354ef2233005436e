"""The output of command lines: functions from a state and the words typed to a `reply.Reply`.

`grammar` cuts a line into commands; `runner` runs them one after the other; `ivm` and its listings answer for the
manager, `vios` for the I/O server under it, `aix` for the partition. None of them opens a file or a socket.
"""
