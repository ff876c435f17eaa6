"""The sections of the report; each module builds those about one thing."""
