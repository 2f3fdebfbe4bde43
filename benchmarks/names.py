"""Names and places of the synthetic population; frequent ones come first."""

from typing import NamedTuple


class Place(NamedTuple):
    """A commune, or for a birth abroad a country (99xxx, without postal code)."""

    insee: str
    city: str
    postal_code: str


FAMILY_NAMES = tuple(
    """
    Martin Bernard Thomas Petit Robert Richard Durand Dubois Moreau Laurent Simon Michel Lefèvre Leroy Roux
    David Bertrand Morel Fournier Girard Bonnet Dupont Lambert Fontaine Rousseau Vincent Muller Lefebvre
    Faure André Mercier Blanc Guérin Boyer Garnier Chevalier François Legrand Gauthier Garcia Perrin Robin
    Clément Morin Nicolas Henry Roussel Mathieu Gautier Masson Marchand Duval Denis Dumont Marie Lemaire
    Noël Meyer Dufour Meunier Brun Blanchard Giraud Joly Rivière Lucas Brunet Gaillard Barbier Arnaud
    Martinez Gérard Roche Renard Schmitt Roy Leroux Colin Vidal Caron Picard Roger Fabre Aubert Lemoine
    Renaud Dumas Lacroix Olivier Philippe Bourgeois Pierre Benoît Rey Leclerc Payet Rolland Lecomte Leclercq
    Guillaume Jean Lopez Dupuy Guillot Hubert Berger Carpentier Sánchez Dupuis Moulin Louis Deschamps Huet
    Vasseur Perez Boucher Fleury Royer Klein Jacquet Adam Paris Poirier Marty Aubry Guyot Carré Charles
    Renault Charpentier Ménard Maillard Baron Bertin Bailly Hervé Schneider Fernandez Le Gall Nguyen Da Silva
    """.replace("Le Gall", "Le_Gall")
    .replace("Da Silva", "Da_Silva")
    .split()
)

GIVEN_NAMES = {
    (
        "female",
        1926,
    ): "Marie Jeanne Françoise Monique Simone Jacqueline Denise Yvonne Thérèse Geneviève Odette",
    (
        "female",
        1950,
    ): "Martine Catherine Nathalie Sylvie Christine Brigitte Isabelle Véronique Chantal Élisabeth",
    (
        "female",
        1976,
    ): "Céline Stéphanie Émilie Aurélie Laëtitia Sandrine Julie Élodie Virginie Anne-Sophie Hélène",
    ("female", 2000): "Léa Emma Chloé Manon Inès Jade Louise Alice Zoé Éloïse Anaïs Maëlys Fatima Rose Ambre",
    (
        "male",
        1926,
    ): "Jean Pierre Michel André René Louis Marcel Roger Raymond Georges Robert Maurice Henri Albert",
    (
        "male",
        1950,
    ): "Philippe Alain Patrick Bernard Christian Daniel Gérard Thierry Éric François Jean-Luc Didier",
    (
        "male",
        1976,
    ): "Nicolas Julien Sébastien Frédéric Jérôme Christophe Mickaël Benoît Guillaume Cédric Karim Loïc",
    ("male", 2000): "Lucas Hugo Enzo Léo Nathan Gabriel Théo Raphaël Adam Noé Maël Mathéo Mohamed Côme Timéo",
}
"""Given names by sex and the year from which they were fashionable."""

STREETS = tuple(
    """
    rue Victor Hugo/avenue Jean Jaurès/rue Pasteur/place de la République/rue de l'Église/chemin des Écoliers/
    boulevard Gambetta/rue du Général de Gaulle/allée des Tilleuls/impasse du Moulin/rue des Fossés/
    cours Émile Zola/rue Marie Curie/quai de la Fontaine/rue des Acacias/avenue du 8 Mai 1945
    """.replace("\n", "")
    .replace("    ", "")
    .split("/")
)

COMMUNES = tuple(
    Place(*line.split("/"))
    for line in """\
75112/Paris/75012
75114/Paris/75014
75118/Paris/75018
13205/Marseille/13005
69383/Lyon/69003
31555/Toulouse/31000
06088/Nice/06000
44109/Nantes/44000
34172/Montpellier/34000
67482/Strasbourg/67000
33063/Bordeaux/33000
59350/Lille/59000
35238/Rennes/35000
51454/Reims/51100
83137/Toulon/83000
42218/Saint-Étienne/42000
76351/Le Havre/76600
38185/Grenoble/38000
21231/Dijon/21000
49007/Angers/49000
30189/Nîmes/30000
63113/Clermont-Ferrand/63000
72181/Le Mans/72000
13001/Aix-en-Provence/13100
29019/Brest/29200
37261/Tours/37000
80021/Amiens/80000
87085/Limoges/87000
74010/Annecy/74000
66136/Perpignan/66000
25056/Besançon/25000
57463/Metz/57000
45234/Orléans/45000
76540/Rouen/76000
68224/Mulhouse/68100
14118/Caen/14000
54395/Nancy/54000
95018/Argenteuil/95100
93066/Saint-Denis/93200
93048/Montreuil/93100
94028/Créteil/94000
92050/Nanterre/92000
86194/Poitiers/86000
78646/Versailles/78000
64445/Pau/64000
17300/La Rochelle/17000
56260/Vannes/56000
22278/Saint-Brieuc/22000
29232/Quimper/29000
10387/Troyes/10000
18033/Bourges/18000
58194/Nevers/58000
15014/Aurillac/15000
48095/Mende/48000
26362/Valence/26000
73065/Chambéry/73000
05061/Gap/05000
2A004/Ajaccio/20000
2B033/Bastia/20200
97105/Basse-Terre/97100
97209/Fort-de-France/97200
97411/Saint-Denis/97400""".splitlines()
)

ABROAD = (
    Place("99352", "Algérie", ""),
    Place("99350", "Maroc", ""),
    Place("99351", "Tunisie", ""),
    Place("99139", "Portugal", ""),
    Place("99127", "Italie", ""),
    Place("99134", "Espagne", ""),
)
