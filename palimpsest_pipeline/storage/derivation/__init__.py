"""The records of derived products, the due products of cycles, and the due marks of changed fixtures."""
