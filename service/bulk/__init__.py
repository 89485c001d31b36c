"""`wsm-serve transcribe`: files and folders, in this process or by a server.

paths -> tasks (tasks) -> recognised, many at once (run; here: in_process, remote: client)
-> texts (formats) -> files beside them, or lines
"""
