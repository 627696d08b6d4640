"""Actions of an operator: withdraw, redraft, release, prioritise, pause, adopt a store, examine.

Each action is written once, for the commands and for any later console or API. It takes the open
storage or the settings, returns a value and raises an EchoNodeError. It never prints and never
asks.

Importing an action imports neither torch, pydicom nor SQLAlchemy: they are imported when it is
called.
"""
