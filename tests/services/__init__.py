"""Real services for the tests: PostgreSQL, Redis, a mail server that misbehaves on request, our processes.

`tests.services.fixtures` hands them to tests. Every server listens on 127.0.0.1 or a unix socket, keeps its
data in a temporary folder, and is ended by its process id, also when the test run itself is killed.
"""
