"""TenSEAL ships no types; joint training uses `sealapi` alone."""
