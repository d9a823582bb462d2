"""The server's state: SQLite through SQLAlchemy Core, with its tables, rows and migrations."""
