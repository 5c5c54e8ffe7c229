"""The engine and what it stands on; internal, without promises about names."""
