"""An SAP system inside the simulated partition: one model, `system.System`, and the faces onto it.

`installation` says what is installed, `system` what goes on in it, `work` what it has to do. `operations` answers
sapstartsrv's functions for `startsrv` (SOAP) and `command_line` (``sapcontrol``, ``dpmon``, ``saplikey`` …);
`functions` answers function modules for `rfc`; `dispatcher` speaks NI. `faces` puts all of them on their ports. What
nobody could look up is in `recalled`.

Everything lives in the partition's process, so it stands still when the partition does.
"""
