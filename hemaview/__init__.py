"""HEMAVIEW: from a head scan with an intracerebral haemorrhage to a mask, three volumes and a printable mesh."""

__version__ = "0.1.0"
