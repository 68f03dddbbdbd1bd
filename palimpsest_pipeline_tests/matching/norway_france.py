"""Who is who among the players that two platforms name for one captured fixture, Norway against France.

Read from the two lists by hand.
"""

SAME: dict[str, int] = {
    "Adrien Rabiot": 250737,
    "Alexander Sorloth": 309078,
    "Andreas Schjelderup": 2044393,
    "Antonio Nusa": 2160154,
    "Bradley Barcola": 1948356,
    "Brice Samba": 164055,
    "David Moller Wolfe": 1724924,
    "Egil Selvik": 856266,
    "Fredrik Aursnes": 228364,
    "Henrik Falchener": 1975067,
    "Ibrahima Konate": 936572,
    "Jean-Philippe Mateta": 1027583,
    "Jorgen Strand Larsen": 1065792,
    "Jules Kounde": 940560,
    "Julian Ryerson": 862396,
    "Kristian Thorstvedt": 1407141,
    "Kristoffer Ajer": 576384,
    "Leo Ostigard": 936650,
    "Lucas Digne": 96538,
    "Maghnes Akliouche": 2238030,
    "Malo Gusto": 1948364,
    "Manu Kone": 1693879,
    "Martin Odegaard": 547410,
    "Maxence Lacroix": 1132173,
    "Mike Maignan": 191210,
    "Morten Thorsby": 280991,
    "N'Golo Kante": 234148,
    "Orjan Nyland": 22209,
    "Oscar Bobb": 1956474,
    "Patrick Berg": 355174,
    "Sander Berge": 566232,
    "Sander Tangvik": 1650009,
    "Thelo Aasgaard": 2064247,  # SportyBet: "Aasgaard, Thelo" among the scorers, "Thelonious Gerard Aasgaard" elsewhere
    "Theo Hernandez": 772113,
    "Warren Zaire-Emery": 2256607,
    "William Saliba": 1513599,
}
"""BetPawa's name and the SportRadar id of the player whom SportyBet calls the same."""
LONGER_OR_SHORTER: dict[str, int] = {
    "Aurelien Djani Tchouameni": 1070898,  # Aurelien Tchouameni
    "Desire Nonka Maho Doue": 2304851,  # Desire Doue
    "Erling Braut Haaland": 991181,  # Erling Haaland
    "Fredrik Bjorkan": 838087,  # Fredrik Andre Bjorkan
    "Jens Hauge": 984273,  # Jens Petter Hauge
    "Kylian Sanmi Mbappe Lottin": 796046,  # Kylian Mbappe
    "Lucas Francois Bernard Hernandez": 352370,  # Lucas Hernandez; his brother Theo plays too
    "Marcus Lilian Thuram Ulien": 545970,  # Marcus Thuram
    "Marcus Pedersen": 1480586,  # Marcus Holmgren Pedersen
    "Masour Ousmane Dembele": 361350,  # Ousmane Dembele
    "Mathis Rayan Cherki": 1601352,  # Rayan Cherki
    "Michael Akpovie Olise": 1717779,  # Michael Olise
    "Robin Risser": 2411237,  # Robin Risser Birckel
    "Sondre Klingen Langas": 2001901,  # "Langas, Sondre" among the scorers, the full name elsewhere
    "Torbjorn Lysaker Heggem": 1060801,  # Torbjorn Heggem
}
NOT_BY_WORDS: dict[str, int] = {"Dayotchanculle Oswald Upamecano": 769139}
"""SportyBet says Dayot Upamecano: the same man to a person, and no word-for-word evidence of it."""
