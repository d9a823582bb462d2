"""The owner's enclave: judge and vault. It imports the contract and the models only."""
