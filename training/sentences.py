# ruff: noqa: SIM905 -- the word classes are lists to read, not code
"""English sentences over a closed vocabulary: what the embedded speech model is trained and tested on.

The words are those of `vocabulary.txt` (Basic English, office words, names, numbers) and their regular inflections.
A sentence is drawn from a template whose slots are word classes. Each class is a deck that is dealt out before it is
shuffled again, so that rare words come as often as common ones.
"""

import random
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

VOCABULARY_FILE = Path(__file__).with_name("vocabulary.txt")

NAMES = """alice anna ben carla david emma frank george grace henry james john julia kate kevin laura lucy mark martin
mary michael nina oscar paul peter rachel robert sam sarah susan tom""".split()
CITIES = "london paris".split()
DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
MONTHS = (
    "january february march april may june july august september october november december".split()
)
UNITS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen""".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()

PEOPLE = """artist baby boss boy brother chief client cook customer daughter doctor expert farmer father friend girl judge
king lawyer manager mother nurse officer owner person porter representative secretary servant sister soldier son
student supplier teacher worker writer""".split()
THINGS = """account advertisement agenda almond angle animal ant apparatus apple arch arm army bag ball band bank basin
basket bath bed bell berry bicycle bird blade board boat body bone book boot bottle bottom box brain brake
branch brick bridge brush bucket building bulb bus button cake callback camera canvas car card carriage cart
cat chain chair chalk chest chin church city clock cloud coal coin collar comb committee company complex
contract copy cord corner country cow cup curtain curve cushion database detail dog door drain drawer dress
drink ear egg email engine exam eye face family farm feather field finger fire flag flame flat floor flower
fly fork frame fruit garden glass group gun hammer hand harbour hat head heart hole home hook horn horse
hospital house insect instrument invoice island item jelly jewel kettle key kitchen knee knot lamp language
leg lesson letter library line lip liquid list lock lunch machine map market meal meat message metal model
moon mountain mouth muscle nail nation neck needle nerve net nose note office orange organization ornament
oven page paper parcel park password pen pencil picture piece pig pin pipe place plane plant plate pocket pot
potato prison product rail rat receipt record recording ring river road rod roof room root rope sail school
screen screw sea seat seed server ship shirt shoe shop skirt snake society sock song spade sponge spoon square
stamp star station stem stick stitch stocking stomach stone store story street structure substance sun sweet
system table tail team test thing thread throat thumb ticket tin toe tongue town train tray tree umbrella unit
vessel voicemail wall watch website wheel whip whistle window wing wire word worm wound""".split()
IDEAS = """accident act action addition adjustment afternoon agenda agreement amount amusement answer argument attack
authority autumn back base behaviour belief birth bite blow breakfast budget bug build business call cause
chance change circle colour comparison competition condition connection cost cough course cover credit crime
cross cry current cut damage danger day deadline death debt decision deck degree delivery design desire
development dinner direction discovery discussion disease distance distribution division doubt driving drop
edge effect end error evening event example exchange expansion experience fact fall fear feature feeling fight
finish flight fold force forecast form front future government hearing history hope hour idea impulse increase
industry interest invention journey jump kick kiss knowledge laugh law lead learning level lift light limit
look mark match measure meeting memory middle mind mine minute mist mistake moment month morning motion move
need night noise number observation offer operation opinion opposite order pain part pass past payment plan
play point position power present price print process profit project property protest pull pump punishment
purpose push quality quarter question range rate ray reaction reason refund regret relation release religion
report request respect rest result revenue review reward rhythm roll rub rule run scale schedule second
secret selection sense shade shake shape share shock side sight sign size sleep slide slip slope smash smell
smile sneeze sort sound space spring stage start statement status step stop storm stretch suggestion summer
support surprise talk taste tax tendency theory thought top touch trade transfer trick trouble turn twist
update use value verse version view voice wait walk war wash wave way week weight winter word year""".split()
MASS = """air approval art beer behaviour blood boiling brass bread breath building burn butter canvas chalk cheese
cloth coal coffee comfort copper cotton credit danger death destruction digestion disgust dust education
existence expansion fear fiction fish food fowl fruit glass gold grass hair harmony hate help hope humour ice
ink insurance interest iron jelly joy knowledge land law learning leather life linen loss love marketing mass
meat milk money music news noise oil paint paper paste peace pleasure poison polish powder power prose rain
reading respect rice rubber sales salt sand science shade shame shipping silk silver skin sky sleep smoke snow
soup space steam sugar support tax tea teaching thunder time trade transport trouble war wash waste water wave
wax weather wind wine wood wool work writing""".split()
ADJECTIVES = """able acid agreed angry approved automatic awake bad beautiful bent big bitter black blue boiling bright broken
brown cancelled certain cheap checked chemical chief clean clear closed cold common complete complex conscious
cool cruel dangerous dark dead dear deep delicate dependent different dirty dry early elastic electric empty
equal false fast fat feeble fertile final finished fixed flat foolish free frequent full future general good
great green grey happy hard healthy high hollow hot hungry ill important kind large late left little living
long lost loud low married material medical military mixed narrow natural near necessary new normal old open
opposite orange parallel past physical political poor possible present private probable public quick quiet
ready red regular representative responsible right rough round sad safe secret separate serious sharp shipped
short shut sick signed simple slow small smooth social soft sold solid special sticky stiff straight strange
strong sudden sweet tall tested thick thin tight tired true violent warm weak wet white wide wise wrong yellow
young""".split()
COMPARABLE = """angry big black blue bright brown cheap clean clear cold cool cruel dark deep dirty dry early fast fat flat
great green grey happy hard healthy high hot hungry kind large late long loud low narrow near new old poor
quick quiet red rough round sad safe sharp short sick simple slow small smooth soft sticky stiff straight
strange strong sweet tall thick thin tight warm weak wet white wide wise yellow young""".split()
FEEL = """able angry awake bad certain cold early free happy healthy hungry ill important late married quiet ready
responsible right sad safe serious sick sorry sure tired warm well wrong young""".split()
MANNER = """angry bad beautiful bright certain cheap clear cold common complete conscious cruel dangerous dark deep delicate
different equal feeble final foolish free frequent general great happy hard high kind large late loud medical
narrow natural near necessary new normal open physical political poor private public quick quiet regular
responsible right rough sad safe secret separate serious sharp short simple slow smooth social soft solid
special stiff strange strong sudden sweet thick thin tight true violent warm weak wide wise wrong""".split()
PLACE_PREPOSITIONS = """about across after against along among around at before behind between by down for from in into near off on
over past round through to under up with""".split()
REGULAR_TRANSITIVE = """answer approve ask attack base believe brush burn call cancel carry cause change check clean clear close
colour comb control cook copy cover cross damage deploy design desire doubt drain drop dust email end exchange
face fear finish fix fold force form frame hammer hand hate help hook increase iron judge kick kiss learn lift
like limit list lock love mark market match measure move mute need note number offer open order paint park
pass paste picture pin place plan plant play plough point poison present price print process produce project
pull pump push question rate record refund regret release remember report request respect review reward roll
rub rule sail scale schedule screen screw seat separate shade shape share ship shock show sign smash smell
smoke smooth sort sound stamp start station stitch stop store stretch support surprise taste tax test thank
touch trade train transfer transport trick trouble try turn twist update use value view want wash waste watch
water wave whip wire work wound""".split()
REGULAR_INTRANSITIVE = """act agree answer attack call change cook cough cry dress drop dust end finish help hope jump kick laugh learn
listen look march move order paint play protest pull pump push rain record report rest roll sail shop sign
slip smile smoke sneeze snow start stay step stop talk trade train try turn wait walk want wash watch whistle
work""".split()
IRREGULAR_TRANSITIVE = """begin bite blow break bring build burst buy catch cut do drink eat fight find forget get give grow have hear
hold keep know lead leave lose make meet pay put read ring see sell send shake shut take teach throw
understand wake wear win wind write""".split()
IRREGULAR_INTRANSITIVE = """begin come drink eat fall fight fly forget go grow lead leave lose read rise run sit sleep speak stand swim
think understand wake win write""".split()

IRREGULAR_SINGULARS = (
    "child foot half knife leaf man shelf tooth woman sheep life person sex self".split()
)
PLURALS_ONLY = "children people scissors trousers police sheep".split()
OFTEN = "always often sometimes still just also never almost only even".split()
DIRECTIONS = "north south east west left right".split()
SHORT_ADVERBS = "very so too not almost still always never often again now".split()
LATER = (
    "today|tomorrow|tonight|now|soon|again|early|late|this morning|this afternoon|this evening|this week|next week|"
    "next month|next year|after lunch|before dinner|after breakfast|in the morning|at night|in the autumn|in the summer|"
    "in the winter|in the spring|after the meeting|all day|together|here|there|somewhere|at last|on the way home|in time|"
    "for the last time|if possible|a little later|in a minute|exactly now|yet|maybe tomorrow|far from here"
)
EARLIER = (
    "yesterday|last night|last week|last month|last year|today|this morning|before lunch|after the meeting|some years back|"
    "weeks before|yesterday evening|in the night|in the end|at last|all week|all night|again|in front of everyone"
)
SHORT_ANSWERS = (
    "Yes.|No.|Okay.|Yes, please.|No, thank you.|No, thanks.|Thanks.|Thank you.|Thank you very much.|Thanks a million.|"
    "Maybe.|Maybe not.|Sure.|I see.|I think so.|I hope so.|I hope not.|Very well.|Very good.|Not yet.|Not now.|"
    "Of course.|Of course not.|Right.|All right.|Good.|Great.|Sorry.|I am sorry.|So am I.|Me too.|Please do.|"
    "That is right.|That is wrong.|That is true.|Exactly.|Never.|Nothing.|Nobody.|Everyone.|Everything.|Um, yes.|Um, no.|"
    "Um, maybe.|Goodbye.|Bye.|Bye for now.|Hello.|Hi.|Hi there.|Hello again.|Good morning.|Good afternoon.|"
    "Good evening.|Good night.|Why not?|Why?|What?|When?|Where?|Who?|How?|How much?|How many?|"
    "And then?|So what?|What now?|I know.|I do not know.|I agree.|Agreed.|It is okay.|"
    "Too late.|Not at all.|That will do.|Yes, I can.|No, I can not.|Yes, we did.|No, we did not.|Yes, it is.|"
    "No, it is not.|Let us go.|Let us see.|Please wait.|Wait a minute.|One moment, please.|Less is more.|Much better.|"
    "Just a moment.|Here it is.|There you are.|I was sure.|No doubt about it.|Nothing new.|Enough.|Help.|Stop."
)

NOUN_PHRASES = (
    *(
        "the {n}",
        "a {n}",
        "my {n}",
        "your {n}",
        "our {n}",
        "this {n}",
        "that {n}",
        "the {n}",
        "a {n}",
        "{name}'s {n}",
    ),
    *(
        "the {a} {n}",
        "a {a} {n}",
        "my {a} {n}",
        "some {m}",
        "the {m}",
        "{m}",
        "{a} {m}",
        "the {a} {ns}",
        "{a} {ns}",
    ),
    *(
        "the {ns}",
        "{few} {ns}",
        "some {ns}",
        "my {ns}",
        "our {ns}",
        "all the {ns}",
        "many {ns}",
        "no {ns}",
        "much {m}",
    ),
    *(
        "the {n} of the {n}",
        "the {n} {prep} the {n}",
        "the {ordinal} {n}",
        "the {super} {n}",
        "the {i}",
        "the {a} {i}",
    ),
    *(
        "a {i}",
        "this {i}",
        "the {is}",
        "your {a} {i}",
        "the other {n}",
        "such a {n}",
        "the same {n}",
    ),
    *(
        "the {p}",
        "the {p}'s {n}",
        "a {a} {p}",
        "the {irregular}",
        "a {a} {irregular}",
        "the {plural}",
        "something {a}",
    ),
    *(
        "the {gerund} {n}",
        "a {participle} {n}",
        "half the {ns}",
        "the {female} {p}",
        "anything {a}",
    ),
)

TEMPLATES = (
    # statements
    *(
        "{S} {vts} {np}.",
        "{S} {vts} {np} {later}.",
        "{S} {often} {vts} {np}.",
        "{S} {vis} {later}.",
        "{S} {vis} {prep} {np}.",
    ),
    *(
        "{PS} {vt} {np}.",
        "{PS} {vt} {np} and {np}.",
        "{PS} {often} {vi} {prep} {np}.",
        "{S} {vis} {adv}.",
    ),
    *(
        "{X} {vted} {np}.",
        "{X} {vted} {np} {earlier}.",
        "{X} {vied} {earlier}.",
        "{X} {vied} {prep} {np}.",
    ),
    *(
        "{X} {adv} {vted} {np}.",
        "{X} {vted} {np} {prep} {np}.",
        "{X} {vied} {adv} and {vted} {np}.",
        "{X} never {vted} {np}.",
    ),
    *(
        "{X} {modal} {vt} {np}.",
        "{X} {modal} {vt} {np} {later}.",
        "{X} {modal} not {vt} {np}.",
        "{X} {modal} {vi} {later}.",
    ),
    *(
        "{S} is {prep} {np}.",
        "{S} is {a}.",
        "{S} was {a}.",
        "{S} is {often} {a}.",
        "{S} is very {a} and {a}.",
        "{S} is not {a}.",
    ),
    *(
        "{S} was {participle} by {np}.",
        "{S} was {participle} {earlier}.",
        "{S} has been {participle}.",
        "{PS} are {participle}.",
    ),
    *(
        "{S} is {gerund} {np}.",
        "{PS} are {gerund} {np} {later}.",
        "{S} was {gerundi} {earlier}.",
        "I am {gerund} {np}.",
    ),
    *(
        "{S} is {comp} than {np}.",
        "{S} is the {super} {n} of all.",
        "{PS} are {comp} than {np}.",
        "{S} is as {a} as {np}.",
    ),
    *(
        "{Name} is a {p}.",
        "{Name} is {name}'s {p}.",
        "The {p} is from {city}.",
        "{Name} was a {a} {p} in {city}.",
    ),
    *(
        "{Name} and {name} {vt} {np}.",
        "{Name} said that {s} is {a}.",
        "{Name} {vted} {name} {earlier}.",
        "{Name} is {feel}.",
    ),
    *(
        "I am {feel}.",
        "We are very {feel}.",
        "They are {feel} {later}.",
        "You are {feel}.",
        "I was {feel} {earlier}.",
    ),
    *(
        "There is {np}.",
        "There is a {n} {prep} the {n}.",
        "There are {few} {ns} {prep} the {n}.",
        "There was no {m} here.",
    ),
    *(
        "{S} came {prep} {np}.",
        "{X} went {prep} {np} {earlier}.",
        "{X} gave {name} {np}.",
        "{X} made {np} for {np}.",
    ),
    *(
        "{X} sold {np} to {name}.",
        "{X} sent {np} to {name}.",
        "{X} left {np} {prep} {np}.",
        "{X} lost {np} {earlier}.",
    ),
    *(
        "{X} put {np} {prep} {np}.",
        "{X} cut {np} with {np}.",
        "{X} said nothing about {np}.",
        "{X} let {name} {vt} {np}.",
    ),
    *("{S} often thinks about {np}.", "It seems {a}.", "It sounds {a}.", "{Name} knows {np}."),
    *(
        "{Name} seems {feel}.",
        "Nobody {vts} {np}.",
        "Everyone {vts} {np}.",
        "Everything is {a}.",
        "Nothing is {a}.",
    ),
    *(
        "The {m} is {a}.",
        "The {i} of the {n} is {a}.",
        "The {is} are {a}.",
        "A {n} is {often} {a}.",
        "{Ms} is {a}.",
    ),
    *(
        "The {ns} are {a}.",
        "The {ns} are {prep} the {n}.",
        "Most {ns} are {a}.",
        "My {ns} are {a} and {a}.",
        "This {n} is {a}.",
    ),
    *(
        "More {ns} and less {m}.",
        "{N}, {n} and {n}.",
        "{Ns}, {ns} and {ns}.",
        "{Ms}, {m} and {m}.",
        "{I}, {i} and {i}.",
    ),
    *(
        "The {n}, the {n} and the {n}.",
        "{A}, {a} and {a}.",
        "A {a} {n} and a {a} {n}.",
        "The {p}, the {p} and the {p}.",
    ),
    *(
        "I like {m}, {m} and {m}.",
        "We need {np}, {np} and {np}.",
        "We have {n} and {n}, {i} and {i}.",
    ),
    # compound
    *(
        "{S} {vts} {np}, but {s} {vts} {np}.",
        "{X} {vted} {np} because {s} was {a}.",
        "If {s} is {a}, {x} {modal} {vt} {np}.",
    ),
    *(
        "When {s} {vts} {np}, {x} {modal} {vi}.",
        "While {s} was {a}, {x} {vted} {np}.",
        "{X} {vted} {np}, though {s} was {a}.",
    ),
    *(
        "{X} {modal} {vt} {np} until {s} is {a}.",
        "{X} {vied} till {s} was {a}.",
        "Before {x} {vied}, {x} {vted} {np}.",
    ),
    *(
        "After {x} {vted} {np}, {x} {vied}.",
        "{S} is {a}, so {x} {modal} {vt} {np}.",
        "I think that {s} is {a}.",
    ),
    *(
        "I believe {s} {vts} {np}.",
        "I hope that {name} {modal} {vt} {np}.",
        "We agreed that {s} was {a}.",
    ),
    *(
        "I know a {p} who {vts} {np}.",
        "{Name} has a {n} which is {a}.",
        "The {n} that {name} {vted} is {a}.",
    ),
    *(
        "{Name} is the {p} whose {n} is {a}.",
        "This is where {name} {vted} {np}.",
        "First {vt} {np}, then {vt} {np}.",
    ),
    *(
        "{X} {modal} {vt} {np} or {np}.",
        "It is {a}, yet {x} {vied}.",
        "Sometimes {s} is {a}.",
        "Now {s} is {a}.",
    ),
    *("Also, {s} is {a}.", "Again and again {x} {vted} {np}.", "Yes, {s} is {a}."),
    *(
        "No, {s} is not {a}.",
        "Okay, {x} {modal} {vt} {np}.",
        "Well, {s} {vts} {np}.",
        "Um, {s} is {a}.",
        "Sorry, {s} is {a}.",
    ),
    *(
        "Thanks for {np}.",
        "Thank you for {gerund} {np}.",
        "Maybe {s} is {a}.",
        "Then {x} {vted} {np}.",
        "So {s} is {a}.",
    ),
    # questions
    *(
        "Do you {vt} {np}?",
        "Does {s} {vt} {np}?",
        "Did {x} {vt} {np} {earlier}?",
        "Did you {vi} {prep} {np}?",
    ),
    *(
        "Is {s} {a}?",
        "Was {s} {a}?",
        "Are the {ns} {a}?",
        "Are you {feel}?",
        "Is {name} {feel}?",
        "Am I {feel}?",
    ),
    *(
        "{Modal} you {vt} {np}?",
        "{Modal} {x} {vt} {np} {later}?",
        "{Modal} I {vi} {prep} {np}?",
        "{Modal} we {vi} {later}?",
    ),
    *(
        "Where is {s}?",
        "Where are the {ns}?",
        "When did {x} {vt} {np}?",
        "Why is {s} {a}?",
        "Why did {x} {vt} {np}?",
    ),
    *(
        "What is {np}?",
        "What did {name} {vt}?",
        "What is the {i} of {np}?",
        "Who {vted} {np}?",
        "Who is {name}?",
    ),
    *(
        "Which {n} is {a}?",
        "Whose {n} is this?",
        "How {a} is {np}?",
        "How many {ns} are there?",
        "How much {m} do we have?",
    ),
    *(
        "Is it {n} or {n}?",
        "Is it {a} or {a}?",
        "Have you been to {city}?",
        "Has {name} been {participle}?",
    ),
    *(
        "Who is {gerund} {np}?",
        "What are you {gerund}?",
        "Could you please {vt} {np}?",
        "Is there a {n} {prep} the {n}?",
    ),
    # imperatives
    *(
        "{Vt} {np}.",
        "Please {vt} {np}.",
        "{Vt} {np} {prep} {np}.",
        "Please {vi} {later}.",
        "Do not {vt} {np}.",
        "Never {vt} {np}.",
    ),
    *(
        "Let us {vt} {np}.",
        "Let me {vt} {np}.",
        "{Vi} {later}, please.",
        "{Vi} and {vi}.",
        "Tell {name} about {np}.",
    ),
    *(
        "Give me {np}, please.",
        "Keep {np} {a}.",
        "Make {np} {a}.",
        "Get {np} out of {np}.",
        "Ask {name} for {np}.",
    ),
    *(
        "Please {vt} and {vt} {np}.",
        "{Name}, please {vt} {np}.",
        "Turn {direction} at the {n}.",
        "Go {direction} till the {n}.",
    ),
    *("Listen to {np}.", "Please be {a}.", "Speak louder, please.", "Look out of the {n}."),
    # names and greetings
    *(
        "Hello, {name}.",
        "Hi, {name}.",
        "Goodbye, {name}.",
        "Good morning, {name}.",
        "Good evening, {name}.",
        "Thanks, {name}.",
    ),
    *(
        "I am {name} {name}.",
        "This is {name} speaking.",
        "Hello, this is {name} from {city}.",
        "I am {name}.",
    ),
    *(
        "Is that you, {name}?",
        "{Name}, {name} and {name}.",
        "{Name} or {name}?",
        "{Name}?",
        "Yes, {name}.",
        "No, {name}.",
    ),
    *(
        "The {i} is {name}'s.",
        "{Name}'s {n} is {a}.",
        "Where is {name}'s {n}?",
        "Could {name} see {np}?",
    ),
    # numbers, dates, prices
    *(
        "My number is {digits}.",
        "The password is {digits}.",
        "{Digits}.",
        "It is {number}.",
        "{Number}.",
    ),
    *(
        "{Number} {ns}.",
        "{Number} and {number} make {number}.",
        "We sold {number} {ns}.",
        "It costs {number} dollars.",
    ),
    *(
        "The price is {number} dollars.",
        "{Number} dollars, please.",
        "That is {number} pounds.",
        "Page {number}, please.",
    ),
    *(
        "It is {clock}.",
        "The meeting is at {clock}.",
        "{Name} comes at {clock}.",
        "Is {clock} okay?",
        "At {clock} on {day}.",
    ),
    *(
        "Today is {day}.",
        "On {day} or on {day}?",
        "{Day}, the {nth} of {month}.",
        "The deadline is the {nth} of {month}.",
    ),
    *(
        "In {month} and {month}.",
        "We went there in {month}.",
        "See you on {day}.",
        "Not before {month}.",
    ),
    *(
        "Order number {digits}.",
        "{Number} minutes and {number} seconds.",
        "{Number} point {digit} {digit}.",
    ),
    *(
        "The year is {year}.",
        "It was in {year}.",
        "{Number} hours later.",
        "{Few} days and {few} nights.",
        "{Name} is {number}.",
    ),
    *(
        "Wait {number} seconds.",
        "The {nth} {n}.",
        "In {few} weeks or {few} months.",
        "Room {number} is on the {ordinal} floor.",
    ),
    # work
    *(
        "Could you send me the {n} by {day}, please?",
        "Did you get my email about {np}?",
        "I sent you {np} {earlier}.",
    ),
    *(
        "{Name} is waiting for you in room {number}.",
        "The meeting with {name} is on {day} at {clock}.",
        "I say we {vt} {np}.",
    ),
    *(
        "Let us start with the {n}.",
        "What do you think about {np}?",
        "I need {np} before {day}.",
        "That sounds {a} to me.",
    ),
    *(
        "Can we talk about {np} now?",
        "Please send {np} to {name}.",
        "I will ask {name} about it.",
        "You should ask {name}.",
    ),
    *(
        "{Name} wants to {vt} {np}.",
        "{Name} wants {np} by {day}.",
        "We have to {vt} {np} {later}.",
        "It is time to {vt} {np}.",
    ),
    *("I want to {vt} {np}.", "I should like to {vt} {np}.", "We are ready to {vt} {np}."),
    *(
        "The order was shipped on {day}.",
        "The invoice is for {number} dollars.",
        "I can not find {np}.",
        "It is {prep} {np}.",
    ),
    *(
        "We can do it without {np}.",
        "Nobody came without {np}.",
        "You seem {feel} {later}.",
        "They seem {a}.",
        "At least it is {a}.",
    ),
    *(
        "I am looking for {np}.",
        "{Name} is coming {later}.",
        "The children are playing {prep} {np}.",
        "{Name} makes {np}.",
        "{X} stayed {prep} {np}.",
        "Sit down, please.",
        "Come in, {name}.",
        "The {n} starts at {clock}.",
    ),
    *(
        "One dollar, please.",
        "It costs one pound.",
        "One pound of {m}, please.",
        "{S} is hanging {prep} {np}.",
        "Who is next?",
    ),
    *(
        "{Name} has {np}.",
        "I have {np} for you.",
        "Do you have {np}?",
        "What time is it?",
        "How are you, {name}?",
        "Call me {later}.",
    ),
    *(
        "{Number} years.",
        "Read pages {number} to {number}.",
        "{Number} of the {ns}.",
        "Turn to page {number}.",
        "About {number}.",
    ),
)


@cache
def vocabulary() -> frozenset[str]:
    """The base words, lower case, as in `vocabulary.txt`."""
    return frozenset(VOCABULARY_FILE.read_text(encoding="ascii").split())


_DOUBLED = frozenset("begin cancel control forget regret transfer".split())
_VOWEL_SOUND = re.compile(r"\b([Aa]) (?=[aeiou]|hour)(?!one\b|use|unit|european)")


def plural(noun: str) -> str:
    """The regular plural: box -> boxes, city -> cities, book -> books."""
    return third_person(noun)


def third_person(verb: str) -> str:
    """The regular third person singular: watch -> watches, try -> tries, go -> goes."""
    if verb == "have":
        return "has"
    if re.search(r"([sxz]|ch|sh|[^aeiou]o)$", verb):
        return verb + "es"
    return re.sub(r"([^aeiou])y$", r"\1ie", verb) + "s"


def past(verb: str) -> str:
    """The regular past tense and participle: stop -> stopped, carry -> carried, move -> moved."""
    if verb.endswith("e"):
        return verb + "d"
    return re.sub(r"([^aeiou])y$", r"\1i", _double(verb)) + "ed"


def gerund(verb: str) -> str:
    """The -ing form: put -> putting, write -> writing, see -> seeing."""
    return re.sub(r"([^eo])e$", r"\1", _double(verb)) + "ing"


def comparative(adjective: str) -> str:
    """big -> bigger, happy -> happier, large -> larger."""
    return past(adjective)[:-1] + "r"


def superlative(adjective: str) -> str:
    """big -> biggest, happy -> happiest, large -> largest."""
    return past(adjective)[:-1] + "st"


def adverb(adjective: str) -> str:
    """quick -> quickly, happy -> happily, simple -> simply, automatic -> automatically, true -> truly, full -> fully."""
    for ending, replacement in (
        ("ble", "bly"),
        ("ple", "ply"),
        ("ic", "ically"),
        ("ue", "uly"),
        ("ll", "lly"),
    ):
        if adjective.endswith(ending):
            return adjective[: -len(ending)] + replacement
    return re.sub(r"([^aeiou])y$", r"\1i", adjective) + "ly"


def possessive(name: str) -> str:
    """anna -> anna's."""
    return name + "'s"


def _double(word: str) -> str:
    short = re.fullmatch(r"[^aeiou]*(qu)?[aeiou][^aeiouwxy]", word)
    return word + word[-1] if short or word in _DOUBLED else word


def inflections(word: str) -> frozenset[str]:
    """Every regular form that a word of the vocabulary can take, the word itself included ("an" counts as one of "a")."""
    forms = {word, "an"} if word == "a" else {word}
    forms |= {
        rule(word) for rule in (plural, past, gerund, comparative, superlative, adverb, possessive)
    }
    return frozenset(forms)


@cache
def known_words() -> frozenset[str]:
    """All words a sentence may hold: the vocabulary and its inflections, lower case."""
    return frozenset(form for word in vocabulary() for form in inflections(word))


def words_of(text: str) -> list[str]:
    """The words of a text without punctuation, lower case."""
    return re.findall(r"[a-z']+", text.lower())


def spell_number(number: int) -> str:
    """A number from 0 to 999,999 in words, British style: 21 -> twenty one, 305 -> three hundred and five."""
    if number < 20:
        return UNITS[number]
    if number < 100:
        return " ".join([TENS[number // 10 - 2], *([UNITS[number % 10]] if number % 10 else [])])
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    head, rest = f"{spell_number(number // size)} {name}", number % size
    if not rest:
        return head
    return f"{head} {'and ' if rest < 100 else ''}{spell_number(rest)}"


class Deck:
    """Cards dealt in random order, all of them before any comes again."""

    def __init__(self, cards: Sequence[str], rng: random.Random) -> None:
        self._cards, self._rng, self._left = list(cards), rng, []

    def draw(self) -> str:
        """The next card."""
        if not self._left:
            self._left = self._rng.sample(self._cards, len(self._cards))
        return self._left.pop()


class Sentences:
    """An endless source of sentences; the same seed gives the same sentences."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._decks = {name: Deck(cards, rng) for name, cards in _decks().items()}
        self._slots = self._make_slots()

    def sentence(self) -> str:
        """One sentence, question or short answer, with capitals and punctuation."""
        deck = "short" if self._rng.random() < 0.08 else "template"
        return self._finish(self._fill(self._decks[deck].draw()))

    def turn(self, count: int) -> str:
        """Several sentences in a row, as one person would say them."""
        return " ".join(self.sentence() for _ in range(count))

    def word_list(self, count: int) -> str:
        """Random words with no grammar (training only: it makes every word come with every neighbour)."""
        text = " ".join(self._decks["form"].draw() for _ in range(count))
        return self._finish(text + self._rng.choice("...?!"))

    def written(self, text: str) -> str:
        """Words as a sentence is written: with capitals, and "an" before a vowel."""
        return self._finish(text)

    def _fill(self, template: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: self._slot(match[1]), template)

    def _slot(self, name: str) -> str:
        lower = name if name in self._slots else name.lower()
        return self._slots[lower]()

    def _finish(self, text: str) -> str:
        text = _VOWEL_SOUND.sub(r"\1n ", " ".join(text.split()))
        text = re.sub(r"\b[a-z']+", lambda m: m[0].capitalize() if _is_proper(m[0]) else m[0], text)
        return re.sub(r"(^|[.?!] )([a-z])", lambda m: m[1] + m[2].upper(), text)

    def _make_slots(self) -> dict[str, Callable[[], str]]:
        def pick(deck: str, *rules: Callable[[str], str]) -> Callable[[], str]:
            def draw() -> str:
                word = self._decks[deck].draw()
                for rule in rules:
                    word = rule(word)
                return word

            return draw

        def either(*options: Callable[[], str]) -> Callable[[], str]:
            return lambda: self._rng.choice(options)()  # noqa: PLW0108 -- each call is to choose anew

        name, number = pick("name"), self._number
        things, ideas = pick("thing"), pick("idea")
        slots = {deck: pick(deck) for deck in self._decks}
        slots |= {
            "n": either(things, things, ideas),
            "ns": either(*[pick(deck, plural) for deck in ("thing", "thing", "idea")]),
            "i": ideas,
            "is": pick("idea", plural),
            "m": pick("mass"),
            "ms": pick("mass"),
            "p": pick("person"),
            "a": pick("adjective"),
            "adv": either(pick("manner", adverb), pick("manner", adverb), pick("short_adverb")),
            "comp": either(
                pick("comparable", comparative),
                pick("comparable", comparative),
                lambda: self._rng.choice(
                    [
                        "better",
                        "more " + self._slot("a"),
                        "less " + self._slot("a"),
                        "louder",
                        "higher",
                    ]
                ),
            ),
            "super": either(pick("comparable", superlative), lambda: "most " + self._slot("a")),
            "vt": pick("transitive"),
            "vts": pick("transitive", third_person),
            "vi": pick("intransitive"),
            "vis": pick("intransitive", third_person),
            "vted": pick("regular_transitive", past),
            "vied": either(
                pick("regular_intransitive", past), pick("regular_intransitive", past), pick("past")
            ),
            "participle": pick("regular_transitive", past),
            "gerund": pick("transitive", gerund),
            "gerundi": pick("intransitive", gerund),
            "np": lambda: self._fill(self._decks["noun_phrase"].draw()),
            "s": self._subject,
            "ps": self._plural_subject,
            "x": either(self._subject, self._plural_subject),
            "name": name,
            "digits": self._digits,
            "digit": lambda: UNITS[self._rng.randrange(10)],
            "number": number,
            "few": lambda: self._rng.choice(
                [self._rng.choice(UNITS[2:]), self._rng.choice(UNITS[2:]), "many", "some"]
            ),
            "clock": self._clock,
            "nth": self._nth,
            "year": self._year,
        }
        return slots

    def _subject(self) -> str:
        return self._fill(
            self._rng.choice(
                [
                    "{name}",
                    "{name}",
                    "he",
                    "she",
                    "it",
                    "the {p}",
                    "my {p}",
                    "the {n}",
                    "your {n}",
                    "the {a} {p}",
                    "{name}'s {n}",
                    "the {a} {n}",
                    "this {n}",
                    "the {m}",
                    "the {irregular}",
                ]
            )
        )

    def _plural_subject(self) -> str:
        return self._fill(
            self._rng.choice(
                [
                    "I",
                    "we",
                    "you",
                    "they",
                    "the {ns}",
                    "my {ns}",
                    "people",
                    "children",
                    "{name} and {name}",
                    "the {a} {ns}",
                ]
            )
        )

    def _number(self) -> str:
        limit = self._rng.choice([20, 100, 100, 1000, 10_000, 1_000_000])
        return spell_number(self._rng.randrange(limit))

    def _digits(self) -> str:
        groups = [
            " ".join(self._rng.choices(UNITS[:10], k=self._rng.randint(2, 4)))
            for _ in range(self._rng.randint(1, 3))
        ]
        return ", ".join(groups)

    def _clock(self) -> str:
        hour = self._rng.choice(UNITS[1:13])
        forms = [
            "{} o'clock",
            "half past {}",
            "quarter past {}",
            "quarter to {}",
            "{} thirty",
            "ten to {}",
            "five past {}",
        ]
        return self._rng.choice(forms).format(hour)

    def _nth(self) -> str:
        return self._rng.choice([self._slot("ordinal"), "twenty " + self._rng.choice(ORDINALS[:9])])

    def _year(self) -> str:
        tail = spell_number(self._rng.randrange(13, 100))
        return self._rng.choice(
            [
                f"nineteen {tail}",
                f"twenty {tail}",
                "two thousand and " + self._rng.choice(UNITS[1:]),
            ]
        )


def _is_proper(word: str) -> bool:
    return word.partition("'")[0] in _PROPER and word != "o'clock"


_PROPER = frozenset([*NAMES, *CITIES, *DAYS, *MONTHS, "i"]) - {
    "may",
    "march",
    "mark",
    "frank",
    "grace",
}


def _decks() -> dict[str, Sequence[str]]:
    titled = [name.capitalize() for name in NAMES]
    return {
        "template": TEMPLATES,
        "short": SHORT_ANSWERS.split("|"),
        "noun_phrase": NOUN_PHRASES,
        "thing": THINGS,
        "idea": IDEAS,
        "mass": MASS,
        "person": PEOPLE,
        "irregular": IRREGULAR_SINGULARS,
        "plural": PLURALS_ONLY,
        "female": ["male", "female"],
        "adjective": ADJECTIVES,
        "comparable": COMPARABLE,
        "feel": FEEL,
        "manner": MANNER,
        "short_adverb": SHORT_ADVERBS,
        "often": OFTEN,
        "prep": PLACE_PREPOSITIONS,
        "transitive": [*REGULAR_TRANSITIVE, *IRREGULAR_TRANSITIVE],
        "regular_transitive": REGULAR_TRANSITIVE,
        "intransitive": [*REGULAR_INTRANSITIVE, *IRREGULAR_INTRANSITIVE],
        "regular_intransitive": REGULAR_INTRANSITIVE,
        "past": "came went left did lost".split(),
        "name": titled,
        "city": ["London", "Paris"],
        "day": [day.capitalize() for day in DAYS],
        "month": [month.capitalize() for month in MONTHS],
        "ordinal": ORDINALS,
        "direction": DIRECTIONS,
        "modal": "will can could should may".split(),
        "later": LATER.split("|"),
        "earlier": EARLIER.split("|"),
        "form": sorted(_listed_forms()),
    }


def _listed_forms() -> set[str]:
    """The vocabulary and those inflections that the word's class calls for."""
    forms = set(vocabulary())
    forms |= {plural(noun) for noun in (*THINGS, *IDEAS, *PEOPLE)}
    forms |= {
        rule(verb)
        for verb in (*REGULAR_TRANSITIVE, *REGULAR_INTRANSITIVE)
        for rule in (third_person, past, gerund)
    }
    forms |= {
        rule(verb)
        for verb in (*IRREGULAR_TRANSITIVE, *IRREGULAR_INTRANSITIVE)
        for rule in (third_person, gerund)
    }
    forms |= {rule(adjective) for adjective in COMPARABLE for rule in (comparative, superlative)}
    return (
        forms | {adverb(adjective) for adjective in MANNER} | {possessive(name) for name in NAMES}
    )
