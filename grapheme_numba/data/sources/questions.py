"""The facts of the generated text domain, and the ways to ask for each: every split asks in ways of its own.

A fact has six wordings. Four are asked in training, one in validation, one in the test; which ones turns from fact to
fact, so that a form of question that one fact holds out is trained on with others.
"""

# One line a form, and who fills it in: (answer of at most 16 bytes, what takes the places of {0} and {1}).
FORMS: tuple[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], ...] = (
    (
        (
            "capital of {0}?",
            "{0} has which capital?",
            "which city is capital of {0}?",
            "what is the capital of {0}?",
            "name the capital of {0}",
            "the capital city of {0} is?",
        ),
        (
            ("Paris", "France"),
            ("Rome", "Italy"),
            ("Madrid", "Spain"),
            ("Berlin", "Germany"),
            ("Lisbon", "Portugal"),
            ("Vienna", "Austria"),
            ("Athens", "Greece"),
            ("Oslo", "Norway"),
            ("Tokyo", "Japan"),
            ("Cairo", "Egypt"),
            ("Ottawa", "Canada"),
            ("Brasília", "Brazil"),
        ),
    ),
    (
        (
            "color of {0}?",
            "which color is {0}?",
            "what color has {0}?",
            "{0} is of which color?",
            "name the color of {0}",
            "the color of {0} is?",
        ),
        (
            ("blue", "a clear sky"),
            ("green", "grass"),
            ("yellow", "a ripe banana"),
            ("red", "a ripe tomato"),
            ("white", "fresh snow"),
            ("black", "coal"),
        ),
    ),
    (
        (
            "opposite of {0}?",
            "what is not {0}?",
            "which word is opposite to {0}?",
            "what is the opposite of {0}?",
            "name the opposite of {0}",
            "not {0} but?",
        ),
        (
            ("cold", "hot"),
            ("small", "large"),
            ("slow", "fast"),
            ("night", "day"),
            ("down", "up"),
            ("closed", "open"),
        ),
    ),
    (
        (
            "{0} of {1}?",
            "how many {0} has {1}?",
            "{1} has how many {0}?",
            "what is the number of {0} of {1}?",
            "count the {0} of {1}",
            "the {0} of {1} are how many?",
        ),
        (
            ("seven", "days", "a week"),
            ("twelve", "months", "a year"),
            ("four", "legs", "a horse"),
            ("eight", "legs", "a spider"),
            ("three", "sides", "a triangle"),
            ("sixty", "seconds", "a minute"),
        ),
    ),
    (
        (
            "what does {0} {1}?",
            "{0} does {1} what?",
            "which thing does {0} {1}?",
            "name what {0} does {1}",
            "to {1} what is it that {0} does?",
            "the thing that {0} does {1} is?",
        ),
        (
            ("water", "a fish", "swim in"),
            ("milk", "a cow", "give"),
            ("honey", "a bee", "make"),
            ("wool", "a sheep", "grow"),
            ("egg", "a hen", "lay"),
        ),
    ),
    (
        (
            "{0}?",
            "what is {0}?",
            "what do we call {0}?",
            "name {0}",
            "tell me {0}",
            "which word means {0}?",
        ),
        (
            ("ice", "frozen water"),
            ("steam", "boiled water"),
            ("Jupiter", "the largest planet"),
            ("Mercury", "the planet nearest the sun"),
            ("Mars", "the red planet"),
            ("gravity", "the force that makes apples fall"),
            ("photosynthesis", "the way plants use light"),
        ),
    ),
)

WAYS = {"train": 4, "val": 1, "test": 1}  # wordings of each fact in each split


def _wordings() -> dict[str, list[tuple[str, str]]]:
    asked: dict[str, list[tuple[str, str]]] = {split: [] for split in WAYS}
    facts = [(forms, fact) for forms, facts_of_form in FORMS for fact in facts_of_form]
    first = 0
    for split, n_way in WAYS.items():
        for way in range(first, first + n_way):
            for number, (forms, (answer, *parts)) in enumerate(facts):
                asked[split].append((forms[(number + way) % len(forms)].format(*parts), answer))
        first += n_way
    return asked


QUESTIONS = _wordings()
"""(question, answer) of every split; each fact stands in each split, in no split in the words of another."""
