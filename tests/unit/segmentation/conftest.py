"""Makes the helpers beside this file (phantom, toy bundle) importable for all tests below it."""
