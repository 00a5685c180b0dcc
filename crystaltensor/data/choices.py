"""Names that settings take: light, so that the command line can offer them."""

FILE = "file"
"""A label is in the axes of its structure, as it should be."""

FRAMES = {
    "standard": "the standardised axes of spglib",
    "ieee": "IEEE axes",
    "c-along-z": "axes with c along z and a in the xz plane, as CIF files are read",
    "a-along-x": "axes with a along x and b in the xy plane",
}
"""Other axes that labels may be in, and what they are called."""

VOIGT_ORDERS = ("auto", "voigt", "vasp")
"""Orders of Voigt components; ``"auto"`` goes by the name of the column."""

SPLITS = ("train", "val", "test")
"""The three parts of a data set, the one that is learnt from first."""

SPLIT_SOURCES = ("auto", "file", "group")
"""Where splits are from; ``"auto"`` draws those that the file does not have."""

FINDINGS = {
    "symmetry": "the symmetry of the structure forbids a part of the label",
    "frame": "the label fits its structure in other axes only",
    "voigt-order": "the label fits if its columns are in the order of VASP",
    "sign-flip": "a like crystal has a like label of the opposite sign",
    "outlier": "the norm is far from that of the other labels",
    "unstable": "an eigenvalue of the stiffness is not positive",
    "below-one": "an eigenvalue of the dielectric tensor is below one",
    "duplicate": "the same crystal is there before",
    "leak": "formula and space group are in a split kept for judging as well",
}
"""What an audit can find, by the names that the setting `drop` takes."""
