"""The players whom two platforms name in one recorded fixture, Norway against France, with their SportRadar ids.

Read by hand from the two lists. Their names are those of the recorded answers, which are invented.
"""

SAME: dict[str, int] = {
    "Annoav Rifuol": 250737,
    "Avopatsen Sadtils": 309078,
    "Atsnoog Sntliltenug": 2044393,
    "Atlizao Noze": 2160154,
    "Btinnoi Bivnevi": 1948356,
    "Btobo Selli": 164055,
    "Degib Mevnon Wevto": 1724924,
    "Ekum Solrir": 856266,
    "Ftovnor Aupnsut": 228364,
    "Hovtor Favstovun": 1975067,
    "Irtibale Kuzite": 936572,
    "Jiot-Pnamumte Metero": 1027583,
    "Jadtov Slrits Livnov": 1065792,
    "Jukot Kuarse": 940560,
    "Jukuit Roonnaz": 862396,
    "Ktodliit Tsednlrovn": 1407141,
    "Ktodlimson Apin": 576384,
    "Loi Ozlifavl": 936650,
    "Lizog Difnu": 96538,
    "Mepsrut Asruoazto": 2238030,
    "Mevi Gizli": 1948364,
    "Meto Kuzu": 1693879,
    "Mevtid Ozekaevl": 547410,
    "Mebevto Livtiad": 1132173,
    "Mora Meufnit": 191210,
    "Medtev Tsednse": 280991,
    "N'Gevi Katle": 234148,
    "Odrit Nogits": 22209,
    "Oznov Boln": 1956474,
    "Patrobs Bent": 355174,
    "Setsen Bento": 566232,
    "Setsen Totrtir": 1650009,
    "Tsoli Aegsaevl": 2064247,  # SportyBet: "Aegsaevl, Tsoli" among the scorers, "Tsolizaoaz Gonivl Aegsaevl" elsewhere
    "Tsoi Honritses": 772113,
    "Wavtov Zeuto-Egono": 2256607,
    "Wumnuil Sevuri": 1513599,
}
"""BetPawa's name and the SportRadar id of the player whom SportyBet calls the same."""
LONGER_OR_SHORTER: dict[str, int] = {
    "Aupoluav Dsita Trteaolova": 1070898,  # Aupoluav Trteaolova
    "Deteto Nozla Mebe Daai": 2304851,  # Deteto Daai
    "Entudr Btiun Heevits": 991181,  # Entudr Heevits
    "Ftovnor Bnadlat": 838087,  # Ftovnor Atsno Bnadlat
    "Jivl Heuko": 984273,  # Jivl Perren Heuko
    "Kiguit Setlo Mlivte Lilrid": 796046,  # Kiguit Mlivte
    "Lizog Ftittead Benrivl Honritses": 352370,  # Lizog Honritses; his brother Tsoi plays too
    "Mevnuz Lumuit Tsupil Ukuav": 545970,  # Mevnuz Tsupil
    "Mevnuz Pevennov": 1480586,  # Mevnuz Hevllnov Pevennov
    "Megaap Oaznetu Deglelo": 361350,  # Oaznetu Deglelo
    "Metsad Riiet Ctonlu": 1601352,  # Riiet Ctonlu
    "Mobteal Asneria Ovudo": 1717779,  # Mobteal Ovudo
    "Rilud Rodnon": 2411237,  # Rilud Rodnon Butnsal
    "Sazsno Krudrov Litrag": 2001901,  # "Litrag, Sazsno" among the scorers, the full name elsewhere
    "Tidsnadr Leresan Hoklog": 1060801,  # Tidsnadr Hoklog
}
SAME_ON_MSPORT: dict[str, int] = {"Rilud Rodnon": 2411237}
"""Those of `LONGER_OR_SHORTER` whom MSport calls the same as BetPawa does."""
NOT_BY_WORDS: dict[str, int] = {"Deiolrtettukno Ozlavt Ugalozoto": 769139}
"""SportyBet says Deiol Ugalozoto: the same man to a person, and no word-for-word evidence of it."""
