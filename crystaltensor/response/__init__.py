"""Response properties from the forces of an interatomic potential."""
