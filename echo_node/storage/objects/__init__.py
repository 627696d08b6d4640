"""Files: the object store, the spool of received images, the outbox of documents."""
