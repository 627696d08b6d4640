"""HL7 version 2: drafts as ORU^R01 messages, their withdrawal, and MLLP, which carries them."""
