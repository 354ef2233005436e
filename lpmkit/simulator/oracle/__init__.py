"""An Oracle database inside the simulated partition: one `instance.Instance`, and the faces onto it.

`listener` speaks TNS to the real drivers (`wire` the packets, `ttc` what is in them, `logon` the passwords), `sqlplus`
is the program on the command line, `alert_log` what the instance writes down. SQL is answered from `views`. What goes
wrong is switched by `instance.Switches`.

Everything lives in the partition's process, so it stands still when the partition does.
"""
