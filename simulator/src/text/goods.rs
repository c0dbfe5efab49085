//! What the shop sells: categories, nouns, adjectives and sentences of descriptions.

/// A category: slug, name, and the nouns sold in it.
pub(crate) static CATEGORIES: &[(&str, &str, &[&str])] = &[
    ("womens-shoes", "Women's shoes", &["sneakers", "ankle boots", "sandals", "ballet flats", "running shoes", "loafers"]),
    ("mens-shoes", "Men's shoes", &["brogues", "trainers", "hiking boots", "slippers", "chelsea boots"]),
    ("jackets-coats", "Jackets & coats", &["rain jacket", "parka", "trench coat", "down jacket", "bomber jacket"]),
    ("dresses", "Dresses", &["summer dress", "maxi dress", "evening gown", "shirt dress"]),
    (
        "kitchen",
        "Kitchen & dining",
        &["frying pan", "espresso maker", "knife block", "salad bowl", "kettle", "drop-leaf table", "chef's knife"],
    ),
    ("garden", "Garden", &["hedge trimmer", "garden hose", "raised bed", "watering can", "bird feeder", "drop cloth"]),
    ("books", "Books", &["cookbook", "travel guide", "crime novel", "atlas", "picture book", "SQL handbook"]),
    ("toys", "Toys & games", &["wooden train", "puzzle", "board game", "dinosaur", "doll's house", "marble run"]),
    ("electronics", "Electronics", &["headphones", "usb-c cable", "bluetooth speaker", "power bank", "drop-in charger", "webcam"]),
    ("sports", "Sports & outdoor", &["yoga mat", "tent", "sleeping bag", "bike helmet", "climbing rope", "union suit"]),
    ("bags", "Bags & luggage", &["backpack", "tote bag", "suitcase", "messenger bag", "drop-bottom duffel"]),
    ("bath", "Bed & bath", &["towel set", "duvet cover", "bath mat", "pillow", "shower curtain"]),
    ("office", "Office", &["desk lamp", "fountain pen", "notebook", "select-a-size paper", "office chair"]),
    ("pets", "Pets", &["dog lead", "cat tree", "fish tank", "hamster wheel"]),
];

/// Adjectives and makes that stand before a noun in a product's name.
pub(crate) static MAKES: &[&str] = &[
    "Alder",
    "Blue Fjord",
    "Classic",
    "Dune",
    "Everyday",
    "Foxglove",
    "Granite",
    "Harbour",
    "Indigo",
    "Juniper",
    "Kestrel",
    "Linden",
    "Meadow",
    "Northwind",
    "Oakley's",
    "Premium",
    "Quiet",
    "Rustic",
    "Slate",
    "Tidal",
    "Urban",
    "Velvet",
    "Willow",
    "Yarrow",
    "Zephyr",
    "Select",
    "Union Jack",
    "L'Été",
    "Øresund",
    "Café",
    "Mini",
    "XXL",
];

/// Colours and materials.
pub(crate) static COLOURS: &[&str] =
    &["black", "navy", "olive", "sand", "red", "teal", "white", "walnut", "copper", "grey melange", "rosé", "oak & steel"];

/// Sentences of product descriptions.
pub(crate) static DESCRIPTIONS: &[&str] = &[
    "Made for every day, built to last for years.",
    "The fabric is soft, breathable and dries quickly.",
    "Select your size from the table below; if in doubt, go one up.",
    "Wash at 30 °C, do not tumble-dry.",
    "Comes with a two-year guarantee and free returns.",
    "Designed in Copenhagen & made in Portugal.",
    "Our best-seller since 2011 - now with a reinforced seam.",
    "Hand-finished by a small workshop in the Alps.",
    "Weight: approx. 420 g; dimensions 24 x 18 x 7 cm.",
    "The union of function and form: simple, light, quiet.",
    "Packed without plastic; the box can go straight into the paper bin.",
    "Suitable for children aged 3+ (small parts!).",
    "\"A joy to use\", wrote the testers - 9/10 points.",
    "Drop-proof up to 1.2 m, splash-proof (IPX4).",
    "Please note: colours may differ slightly from the photos.",
    "Goes well with our other pieces from the same series.",
];
