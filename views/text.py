"""All words of the page, one class per view, to be read and translated in one place.

The functions at the end put an answer into words.
"""

import re

from classifier import Prediction


class Page:
    """The shell, and words that several views share."""

    TITLE = "Which emotion is in this voice?"
    LISTEN = "Listen"
    TEACH = "Teach it"
    MODEL_PAGE = "The model"
    ETHICS = (
        "The model learnt from actors who performed emotions; what people really feel is subtler, "
        "so treat an answer as an impression, not as a fact about a person. In the EU, the AI Act "
        "bans inferring people's emotions at work and in education."
    )

    MODEL = "Model"
    MODELS = {  # noqa: RUF012
        "frames": ("Course over time", "Follows the voice from moment to moment."),
        "vector": ("Average sound", "The original system: one average over all that sounds."),
    }
    OWN_MODEL = "Trained here."
    LOADING = "Loading the model …"
    SCORES = "How often it is right"
    SPEAKER_SCORE = "Unheard voices"
    SPEAKER_HINT = "Tested on speakers that were not in its training."
    RANDOM_SCORE = "Known voices"
    RANDOM_HINT = "Tested on a random split: its training held other recordings of these speakers."
    SCORES_HINT = (
        "Averaged over the emotions, on {test}. Expect the first figure of a new voice, or less: "
        "these recordings are clean and acted. Guessing would be right once in {count} times."
    )
    ACROSS = (
        "Recordings unlike these are harder: trained on one corpus and asked about another, it was "
        "right {low} to {high} of the time."
    )

    SURE = "{percent} sure"
    NOT_SURE = "Not sure: perhaps {emotion}"
    PERHAPS = "Perhaps {emotion}"
    NOT_SURE_DETAIL = "only {percent} sure"
    RUNNER_UP = "{points:.0f} points ahead of {emotion}"
    NOTHING = "No emotion to judge"
    UNREADABLE = "Could not be read"
    BUSY = "Many people are being served right now. Nothing is lost: try again in a moment."
    AGAIN = "Try again"


class Listen:
    """What brings recordings in."""

    INTRO = (
        "Upload recordings of speech or record your own voice, and see which of {count} emotions "
        "each one carries. Every answer says how sure it is, and says so when it is not."
    )
    UPLOAD = "Upload or drop recordings, folders, zip archives"
    LIMITS = (
        "WAV, FLAC, OGG, Opus, MP3, M4A, WebM, AIFF and more; up to {megabytes} MB and {hours:g} "
        "hours each, {visit} MB in all. A few seconds of one person speaking work best; of what "
        "lasts longer than {whole:g} seconds, you see how emotion changes over time."
    )
    RECORD = "Record your voice"
    NO_MICROPHONE = (
        ":material/mic_off: Browsers give the microphone only to pages that begin with https://, "
        "and this one does not. Record with another app, and upload that."
    )
    RECORDED = "Your recording"
    FOLDER = "Choose a folder"
    FOLDER_HINT = (
        "All recordings in the folder and below. Folders named after emotions (`angry`, `sad`, …), "
        "and file names of RAVDESS, CREMA-D and others, count as labels: you will see how many "
        "answers match. So does a CSV list with the columns `path` and `emotion`, uploaded too. A "
        "folder that is dropped loses its name: choose it here."
    )
    EXAMPLES = "No recording at hand? Try a made-up voice:"
    LIVELY = "Loud and lively"
    GENTLE = "Soft and slow"
    LONG = "One minute with pauses"
    EXAMPLE_NAME = "Made-up voice: {kind}"
    CLEAR = "Start over"
    PRIVACY = (
        ":material/lock: Your audio stays in the memory of the machine that runs this page. It is "
        "not sent anywhere else, and not saved unless you ask for it."
    )
    EMOTIONS = "The emotions it tells apart"
    PROMISES = (
        ("Doubt included", "The most likely emotion, how sure that is, and the runner-up."),
        ("Moment by moment", "How emotion changes over a longer recording. Pauses are pauses."),
        ("Nothing hidden", "Sound, spectrogram, every probability, and what it was tested on."),
    )
    NO_MATCH = (
        "gives none of the recordings that came with it an emotion. Bring list and recordings "
        "together; its columns are 'path', with their file names, and 'emotion'"
    )


class Recording:
    """One recording."""

    LISTENING = "Listening …"
    LABELLED = "labelled {emotion}"
    PLAYER = "Player of the recording"
    CONVERTING = "Converting it for the player …"
    NO_PLAYER = (
        "Browsers do not play this format, and more than {minutes} minutes are not converted for "
        "them. Save it as MP3 or FLAC to listen to it here."
    )
    PROBABILITIES = "Probability of each emotion: {values}"
    PICTURE = "Waveform and mel spectrogram of the recording, {seconds:.1f} seconds"
    PICTURE_HINT = (
        "Above, the sound wave. Below, its mel spectrogram: low notes at the bottom, high notes at "
        "the top, the brighter the louder (80 dB from dark to bright)."
    )
    DRAWING = "Drawing …"
    AMPLITUDE = "Amplitude"
    FREQUENCY = "Frequency (Hz)"
    TEACH = "This was …"
    NUMBERS = "What decided, and what the numbers are"
    REPORT = "Report"


class Course:
    """The course of emotion over a longer recording."""

    MIXED = "Mixed, most of all {emotion}"
    AVERAGE = "On average {first} {emotion}, {second} {other}"
    TITLE = "How emotion changes over time"
    HINT = (
        "Above, the sound wave. In the middle, the emotions share the height as they share the "
        "probability, judged in windows of {window:g} seconds; gaps are pauses. Below, the mel "
        "spectrogram: low notes at the bottom, high notes at the top, the brighter the louder. The "
        "times say for how long each emotion was the most likely one."
    )
    SHARE = "Emotions"
    ALT = "Waveform, course of emotion and mel spectrogram, {seconds:.0f} seconds: {values}"
    PROGRESS = "{done} heard so far"
    STOP = "Stop"
    STOPPED = "Stopped after {done}: what you see is about the part that was heard."
    GO_ON = "Go on"
    TABLE = "A click on a row plays it; a click on a heading sorts by it."
    TABLE_ALT = "Table of stretches of one emotion"
    START = "From"
    END = "To"
    DOT = "Dot"
    EMOTION = "Emotion"
    CONFIDENCE = "How sure"
    PAUSE = "Pause"
    PLAYER = "Player of the stretch from {start} to {end}"
    SLICE = "**{start} to {end}**: {emotion}"
    CSV = "Moments (CSV)"


class Many:
    """Many recordings."""

    TITLE = "{count} recordings"
    PROGRESS = "Listening to recording {number} of {count}"
    SOON = ", a few seconds left"
    SECONDS_LEFT = ", about {seconds:.0f} seconds left"
    MINUTES_LEFT = ", about {minutes} minutes left"
    STOP = "Stop"
    STOPPED = "Stopped: {done} of {count} are done."
    GO_ON = "Go on"
    FAILED = "not classified: {error}"

    DISTRIBUTION_ALT = "How many recordings carry each emotion: {values}"
    DISTRIBUTION_HINT = "Emotions found; the paler part of a bar are answers that are not sure."
    REST = " No emotion in {count}: no voice, too short or not readable."

    EVALUATION = "Compared with the labels"
    ACCURACY = "Right answers"
    ACCURACY_HINT = "The share of recordings whose answer is their label (accuracy)."
    UAR = "Average over emotions"
    UAR_HINT = (
        "The share of right answers, worked out for each emotion and then averaged, so that no "
        "emotion counts more than another (unweighted average recall, UAR)."
    )
    COMPARED = "Recordings compared"
    COMPARED_HINT = (
        "Those with an answer and a label. Labels come from the names of files in known "
        "collections, from folders named after emotions, or from a CSV list."
    )
    BY_EMOTION = "Emotion by emotion"
    F1_ALT = "F1 score of each emotion: {values}"
    F1_HINT = (
        "The F1 score is 100% if every recording of an emotion is found and nothing else is taken "
        "for it, and 0% if none is."
    )
    TAKEN = "Answer"
    CONFUSION_ALT = "What was taken for what, in hundredths of the recordings of each label"
    CONFUSION_HINT = (
        "Each row is a label; along it, how many in a hundred of its recordings were taken for "
        "which emotion. Right answers lie on the diagonal."
    )

    FILTER = "Show only"
    UNSURE = "not sure"
    OTHER = "not as labelled"
    NOTHING = "no emotion"
    UNREAD = "not readable"
    TABLE_HINT = "A click on a row opens its recording below; a click on a heading sorts by it."
    TABLE_ALT = "Table of the recordings and their emotions"
    DOT = "Dot"
    FILE = "File"
    EMOTION = "Emotion"
    CONFIDENCE = "How sure"
    LABEL = "Label"
    NOTE = "Note"

    DOWNLOAD = "Take the results with you; the report opens in any browser and prints."
    FORMATS = {"csv": "CSV", "json": "JSON", "parquet": "Parquet", "html": "Report"}  # noqa: RUF012


class Report:
    """The report to download."""

    ABOUT = "{day}. Model: {network}, trained on {corpora}."
    MANY = "{count} recordings"
    LEFT_OUT = "{count} more recordings were not listened to."

    PROBABILITIES = "Probabilities"
    SOUND = "The sound"
    SOUND_ALT = "Waveform and mel spectrogram, {seconds:.1f} seconds"
    COURSE_ALT = "Waveform, course of emotion and mel spectrogram, {seconds:.1f} seconds"
    SOUND_HINT = (
        "Above, the sound wave. Below, its mel spectrogram: low notes at the bottom, high notes at "
        "the top, the brighter the louder."
    )
    STRETCH_HINT = "Between them, the emotion of each moment; gaps are pauses."
    COURSE = "Moment by moment"
    TIME = "Time"

    DISTRIBUTION = "Emotions found"
    DISTRIBUTION_HINT = "Number of recordings; the paler part are answers that are not sure."
    EVALUATION = "Compared with the labels"
    ACCURACY = "Right answers"
    UAR = "Average over the emotions"
    LABELLED = "Recordings compared"
    EVALUATION_HINT = (
        "Right answers: the share of all recordings (accuracy). Average over the emotions: that "
        "share worked out for each emotion, then averaged, so that no emotion counts more than "
        "another (unweighted average recall, UAR)."
    )
    F1 = "Emotion by emotion"
    F1_HINT = (
        "F1 score: 100% if every recording of an emotion is found and nothing else is taken for "
        "it, 0% if none is."
    )
    CONFUSION = "What was taken for what"
    CONFUSION_CORNER = "label \\ answer"
    CONFUSION_HINT = "Number of recordings. Right answers lie on the diagonal."
    RECORDINGS = "All recordings"
    FILE = "File"
    LABEL = "Label"
    EMOTION = "Emotion"
    CONFIDENCE = "How sure"
    NOTE = "Note"
    STRIP_HINT = "The coloured strip shows the probability of every emotion:"


class Voice:
    """My voice."""

    NAME = "My voice"
    WHY = (
        "Record half a minute of your speech once, better two minutes, in more than one mood. "
        "Until you close or reload this page, answers then take your voice into account."
    )
    GAIN = (
        "Don't expect wonders: models like *Course over time*, trained on RAVDESS alone, gave "
        "{change} right answers more in a hundred of each emotion, on average over emotions, about "
        "voices they had never heard, and fewer about {few} to {many} of 24."
    )
    PASSAGE = (
        "*For example:* On most mornings the bus comes a few minutes late. I stand at the stop, "
        "look at the houses across the street and count the windows that are open. The baker "
        "carries bread to his van, a child practises the piano, and somebody waters the plants on "
        "a balcony. Then the bus turns the corner, I show my ticket and sit down near the door. It "
        "takes twenty minutes to the office, and I mostly read."
    )
    RECORD = "Read aloud, or just talk"
    UPLOAD = "Or choose a recording"
    TOO_LONG = (
        "The recording lasts more than {most:.0f} s, and two minutes are enough. Cut it, or "
        "record anew."
    )
    KNOWN = ":material/check_circle: **Your voice is known.**"
    ADAPT = "Adapt answers to my voice"
    COMPARE = (
        "A result says what it would be without that, too. Of a longer recording, switch it off "
        "and on to compare."
    )
    WITH = "Adapted to your voice:"
    WITHOUT = "Not adapted to your voice:"
    LINES = "The lines across the bars are those of the other answer."
    FORGET = "Forget my voice"


class Teach:
    """Teach it."""

    # The offer under a result.
    HEARD = "Which emotion do you hear?"
    VOICE = "Whose voice is it?"
    VOICE_HINT = (
        "A name of your choice, one for each person. It keeps the test honest: clips of one person "
        "must not be learned and tested as if they were of two."
    )
    CONSENT = (
        "Save this clip and its label on the machine that runs this page, to train on. Whoever "
        "speaks in it agrees."
    )
    KEEP = "Save"
    KEPT_AS = ":material/check_circle: Saved as **{emotion}**, voice **{voice}**."
    DELETE = "Delete"
    NO_EMOTION = "No emotion is chosen. Choose the one that you hear."
    NO_CONSENT = "Nothing was saved, because the box is not ticked. Tick it if you agree."
    NOT_WRITTEN = "The disk cannot be written to ({reason}). Make room, or mend its permissions."

    # What was collected.
    INTRO = (
        "Tell it what it got wrong, or right: open **This was …** under a result or a segment of "
        "it, and save the clip with its label. From enough of them, and of other recordings, a "
        "model of your own can be trained, here or with `train.py`."
    )
    COLLECTED = "Collected clips: {count}"
    NOTHING_YET = "Nothing yet. Listen to a recording, then open **This was …** under its result."
    VOICES = "Voices: {voices}"
    EMOTION = "Emotion"
    WHOSE = "Voice"
    PART = "Part"
    SAVED = "Saved"
    WHOLE = "all"
    STRETCH = "{:.1f} to {:.1f} s"
    TABLE_ALT = "Table of the collected clips"
    CHOOSE = "Choose a row to play its clip, one or more to delete them."
    PLAYER = "Player of the clip"
    DELETE_CHOSEN = "Delete {count} …"
    FOR_GOOD = (
        "This deletes the files for good. What was computed from them stays: models that learned "
        "them, and their features in `.cache`."
    )
    PRIVACY = (
        ":material/lock: These clips lie in `data/my_recordings` on the machine that runs this "
        "page, and nowhere else. Whoever may open the page can play and delete them."
    )

    # The training.
    TRAINING = "Train a model"
    ANOTHER = "Train another model"
    NOTHING_TO_LEARN = "As soon as there are clips, a model can be trained here."
    LOOKING = "Looking through the data folder …"
    SOURCES = "Learn from your clips, and from"
    SOURCE = "{name}: {clips:,} clips"
    SOURCES_HINT = (
        "What lies in the folder data. Your clips alone are hardly ever enough: a model needs "
        "hundreds of clips, of many voices. Yours are heard more often than their number."
    )
    NO_SOURCES = (
        "There are no other recordings in the folder `data`, and your clips alone are hardly ever "
        "enough: a model needs hundreds of clips, of many voices. `python train.py --download` "
        "fetches the RAVDESS corpus (434 MB) and trains on it; `data/README.md` names others."
    )
    SOME_ASIDE = (
        "It learns **{learned}** of your clips. **{aside}** are set aside: it never hears them, so "
        "they can tell afterwards whether it has become better."
    )
    VOICES_ASIDE = (
        "It learns **{learned}** of your clips. **{aside}** are set aside, all those of {voices}: "
        "it never hears them, so they can tell afterwards how it does with a voice that it does "
        "not know."
    )
    NONE_ASIDE = (
        "It learns all **{learned}** of your clips: they are too few to set some aside, so nobody "
        "will be able to tell whether it has become better. From three recordings of an emotion on "
        "one of them is set aside."
    )
    CALIBRATION = (
        " Of all that it learns, a tenth, whole voices where there are several, tells it only how "
        "sure it may be."
    )
    TAKES = (
        "{clips:,} clips take roughly {minutes} minutes if the machine has nothing else to do. You "
        "may close this page meanwhile."
    )
    NAME = "Name of the new model"
    START = "Train"
    STARTING = "Getting ready …"
    RUNNING = "**{model}** is being trained."
    STEPS = {  # noqa: RUF012
        "features": "Listening to {done:,} of {total:,} clips",
        "augmented copies": "Changing clips, for other voices and rooms: {done:,} of {total:,}",
        "training material": "Laying everything out",
        "the model": "Learning: {share:.0%} done",
        "model folder": "Putting the model together",
    }
    TIME_LEFT = ", about {minutes} min left in this step"
    EPOCH = "Pass over the clips"
    LOSS = "Error in training"
    CURVE = "How it learned"
    CURVE_ALT = "Error in training, from {first:.2f} to {last:.2f} after {passes} passes"
    STOP = "Stop"
    LEAVE = "It goes on if you close this page. What is finished is kept if it is stopped."
    STOPPED = (
        "The training of **{model}** ended before it was done. What was finished is kept; what it "
        "said last is in `.cache/retraining/log.txt`."
    )
    GO_ON = "Go on"
    FORGET = "Don't go on"
    FINISHED = "**{model}** is trained. Below it stands beside another model."

    # The comparison.
    COMPARISON = "Old and new, side by side"
    OLD = "Old model"
    NEW = "New model"
    LISTENING = "Listening to the clips that were set aside …"
    NO_ANSWER = "–"
    RIGHT = "{model}: right answers"
    OF = "{right} of {clips}"
    UAR = "{uar:.0%} on average over the emotions"
    CANNOT_TELL = (
        "**These {clips} clips are too few to tell which is better.** The new model alone is right "
        "on {only_new} of them, the old one alone on {only_old}; by chance, two equally good "
        "models differ as much in {likely:.0%} of such tests."
    )
    BETTER = (
        "**The new model does better on these {clips} clips.** It alone is right on {only_new} of "
        "them, the old one alone on {only_old}; by chance, that happens in {likely:.1%} of such "
        "tests."
    )
    WORSE = (
        "**The new model does worse on these {clips} clips.** The old one alone is right on "
        "{only_old} of them, the new one alone on {only_new}; by chance, that happens in "
        "{likely:.1%} of such tests."
    )
    KNOWN_VOICES = (
        "At least one of the two has learned other clips of these voices, so this is about people "
        "it knows; with others it may do better or worse."
    )
    UNHEARD_VOICES = "Of what is saved now, neither model has learned any clip of these voices."
    NOTHING_TO_COMPARE = (
        "There is no clip from which neither has learned, so nobody can tell which is better. Save "
        "some more clips: whatever is saved now, no model knows yet."
    )
    ANSWERS = "Clip by clip"
    ANSWERS_ALT = "Table of what both models say of each clip"
    USE = "Use {model}"
    CHOSEN = "{model} is in use"


class Model:
    """The model, honestly."""

    SWITCH = "Another one can be chosen in the sidebar."
    INTRO = (
        "How often is it right, with whom was that measured, and what is it not for? Every figure "
        "here was measured when the model was trained, and is read from its manifest."
    )
    NOT_TESTED = (
        "This model was trained without a test, so nobody knows how often it is right. Train it "
        "again with `--evaluate speaker` to find out."
    )

    TEST = "Tested on"
    PROTOCOLS = {  # noqa: RUF012
        "speaker": Page.SPEAKER_SCORE,
        "random": Page.RANDOM_SCORE,
        "cross-corpus": "Another collection",
    }
    PROTOCOL_HINTS = {  # noqa: RUF012
        "speaker": (
            "What a new voice may expect. The voices were dealt into {folds} groups (folds); each "
            "group was judged by a network that had heard the other groups alone."
        ),
        "random": (
            "A random fifth of the recordings was judged by a network that had heard other "
            "recordings of the same people. That is easier, and flatters: with a new voice, do not "
            "expect this figure."
        ),
        "cross-corpus": (
            "Judged by a network that had heard only other collections: other people, other "
            "rooms, other ways to act."
        ),
    }
    PROTOCOL_SHORT = {  # noqa: RUF012
        "speaker": "None of these people was in the training.",
        "random": "Random split: the training held other recordings of these people.",
        "cross-corpus": "Nothing of this collection was in the training.",
    }
    INTERVAL = "{low:.0%} to {high:.0%} with other such voices"
    NO_INTERVAL = "measured with one voice alone"
    UAR = (
        "The share of right answers, worked out for each emotion and then averaged, so that no "
        "emotion counts more than another (the unweighted average recall, UAR). The range is the "
        "95% interval: so far the figure may move when other people of the same kind speak."
    )
    BASIS = "{clips:,} recordings. Guessing would reach {chance:.1%}."
    ALL_TESTS = "All tests beside each other"
    ALL_TESTS_ALT = "Share of right answers in each test, with its interval: {values}"
    ALL_TESTS_HINT = "Dot, diamond or square: the share of right answers. Line: its 95% interval."

    EMOTIONS = "Emotion by emotion"
    F1_BARS = "Bar: {0}; line across it: {1}. "
    F1_HINT = (
        "The F1 score is 100% if every recording of an emotion is found and nothing else is taken "
        "for it, and 0% if none is found."
    )
    F1_ALT = "F1 score of each emotion: {values}"
    CONFUSION = "What is taken for what"
    CONFUSION_HINT = (
        "Each row is an emotion that was acted; along it, how many in a hundred of its recordings "
        "were taken for which emotion. Right answers lie on the diagonal."
    )
    CONFUSION_ALT = "Confusion matrix, {protocol}. Of each emotion, what it was taken for: {values}"
    TRUE = "acted"
    TAKEN = "taken for"
    RELIABILITY = "Does its certainty keep its word?"
    RELIABILITY_HINT = (
        "If it says 70% sure, it should be right 70 times in a hundred: on the dashed line. Above "
        "it is too modest, below too sure; the larger a point, the more answers. On average it is "
        "{ece:.0%} off (expected calibration error, {protocol})."
    )
    SUREST = (
        "Without the least certain quarter of its answers, {surest:.0%} instead of {accuracy:.0%} "
        "are right."
    )
    RELIABILITY_ALT = "How often answers of each certainty were right: {values}"
    SAYS = "says it is sure to"
    RIGHT = "is right in"
    VOICES = "Voice by voice"
    VOICES_HINT = (
        "Each line is one voice ({protocol}). Best {best:.0%}, worst {worst:.0%} of its recordings "
        "right: with some people it works far better than with others."
    )
    BY_SEX = "Women {women:.0%}, men {men:.0%} (UAR)."
    VOICES_ALT = "Share of right answers for each of {count} voices, from {worst:.0%} to {best:.0%}"

    DATA = "What it learnt from"
    CORPUS = "**{name}**: {clips:,} recordings, {speakers} voices, {channels}. Licence: {licence}."
    LICENCES = (
        "What these licences allow holds for the model too; its program has a licence of its own."
    )
    SPEED = "How fast it is"
    SPEED_HINT = (
        "That depends on the machine, so it is not on file. Measure it where this page runs: "
        "a made-up voice of four seconds, read and judged {runs} times."
    )
    MEASURE = "Measure here and now"
    MEASURING = "Measuring …"
    MEASURED = (
        "{milliseconds:.0f} ms for a recording of four seconds: the median of {runs} runs on the "
        "machine that serves this page, with whatever else it is doing now."
    )
    LIMITS = "What it cannot do"
    LIMIT_LIST = (
        "It knows {emotions}, and gives every voice one of these names. Mixed or subtle feelings "
        "and irony have none.",
        "It hears how something is said, not what: the words mean nothing to it.",
        "Other languages, ages, rooms and microphones than those it learnt from make it worse than "
        "the figures above.",
        "Up to {whole:g} seconds are judged in one piece, longer recordings in windows of "
        "{window:g} seconds; under {short:g} seconds there is too little to hear.",
        "It is for research, teaching and play with people who agreed to it; not for decisions "
        "about people.",
    )
    EXPERT = "For experts"
    KINDS = {  # noqa: RUF012
        "frames": "1D-CNN with attentive statistics pooling over a sequence of 264-number frames "
        "and their pitch, and beside it a kernel machine of whole clips",
        "vector": "1D-CNN over one vector of 264 numbers, the mean over all frames but pauses",
    }
    FACTS = (
        "{kind}; {parameters:,} parameters. Trained for {epochs} epochs with seed {seed}; softmax "
        "temperature {temperature:.2f}. {versions}."
    )
    MANIFEST = "Download the manifest"


class Numbers:
    """What the numbers are."""

    WORKING = "Asking the model again and again …"
    PART = "About {start:.1f} to {end:.1f} s of the recording, heard in one piece."
    NOTHING = "No emotion is named here, so there is nothing to explain."

    MOMENTS = "Which moment decided"
    STRONGEST = "Hide {start:.1f} to {end:.1f} s, and **{emotion}** falls from {whole} to {hidden}."
    BECOMES = "The answer would be **{emotion}**."
    NO_MOMENT = (
        "No single moment decided: hide any {length:.1f} s, and **{emotion}** loses less than "
        "{points} of its {whole}."
    )
    MOMENTS_HINT = (
        "One stretch of {length:.1f} s after another is hidden from the model; the average of all "
        "its training takes its place (occlusion, after Zeiler and Fergus, 2014). Where the curve "
        "is high, the sound spoke for {emotion}; where it is below zero, for something else."
    )
    MOMENTS_ALT = "Waveform, and how far {emotion} falls when a moment is hidden. {strongest}"
    AMPLITUDE = "Amplitude"
    FALL = "Falls by (points)"

    NUMBERS = "The 264 numbers it hears"
    NUMBERS_HINT = (
        "The sound becomes 264 numbers, 43 times a second. Here is their mean over the recording, "
        "beside the average recording of each emotion in the training."
    )
    NO_AVERAGES = (
        "This model does not know what the recordings of each emotion are like on average: it was "
        "trained before that was kept. So here are the numbers of this recording alone; a model "
        "that is trained now sets those of each emotion beside them."
    )
    DISTANCES = (
        "How far the recording is from the average of each emotion: 1 is the nearest (framed), 2 "
        "is twice as far. The model looks far closer, so the nearest need not be its answer."
    )
    DISTANCES_ALT = "Nearest emotion by each group of numbers: {values}"
    GROUPS = (
        (
            "Timbre (MFCC)",
            "40 numbers for the colour of the sound: how it spreads over low and high pitches, "
            "first in broad strokes, then ever finer.",
        ),
        ("Change (delta)", "How fast each of the 40 numbers of timbre rises or falls."),
        (
            "Bend (delta-delta)",
            "How fast the change of each of the 40 numbers of timbre changes itself.",
        ),
        (
            "Notes (chroma)",
            "How strongly each of the 12 notes of the scale sounds, whatever the octave.",
        ),
        (
            "Loudness (mel)",
            "Loudness in 128 bands from low to high pitch, spaced as the ear hears them.",
        ),
        (
            "The last four",
            "Centre and width of the spectrum (bright or dull, rich or thin), how often the wave "
            "crosses zero, and how loud all of it is (RMS).",
        ),
    )
    LAST_FOUR = ("centre", "width", "zero crossings", "loudness")
    NOTES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
    GROUP = "Look closer at"
    COMPARE = "Compare with"
    CLIP = "This recording"
    GROUP_ALT = "{group}: the numbers of this recording{others}"
    GROUP_ALT_OTHERS = " and the averages of {emotions}"
    ZERO = (
        "Thick line: this recording; zero: the mean of the training; one step: its standard "
        "deviation."
    )
    TABLE = "All 264 as a table"
    TABLE_ALT = "The 264 numbers of this recording, and the average of each emotion"
    TABLE_HINT = (
        "Mel and RMS are in decibel, the centre and width of the spectrum (centroid, bandwidth) in "
        "Hz."
    )
    NUMBER = "Number"


def headline(prediction: Prediction, *, mixed: bool = False) -> str:
    """Return the answer in two or three words.

    Args:
        prediction: any.
        mixed: that of a longer recording is in doubt because its parts differ.
    """
    if prediction.emotion is None:
        return Page.NOTHING
    if mixed:
        return Course.MIXED.format(emotion=prediction.emotion)
    if prediction.uncertain:
        return Page.NOT_SURE.format(emotion=prediction.emotion)
    return sentence(prediction.emotion)


def details(prediction: Prediction, *, average: bool = False) -> str:
    """Return how sure the answer is, and the runner-up.

    Args:
        prediction: any.
        average: it is that over the windows of a longer recording.
    """
    if prediction.runner_up is None:
        return ""
    first, second = prediction.confidence, prediction.probabilities[prediction.runner_up]
    if average:
        shares = {"first": percent(first), "second": percent(second)}
        emotions = {"emotion": prediction.emotion, "other": prediction.runner_up}
        return Course.AVERAGE.format(**shares, **emotions)
    sure = Page.NOT_SURE_DETAIL if prediction.uncertain else Page.SURE
    lead = Page.RUNNER_UP.format(emotion=prediction.runner_up, points=100 * (first - second))
    return sentence(f"{sure.format(percent=percent(first))}, {lead}")


def brief(prediction: Prediction) -> str:
    """Return the answer in one or two words, for a table."""
    if prediction.emotion is not None and prediction.uncertain:
        return Page.PERHAPS.format(emotion=prediction.emotion)
    return headline(prediction)


def percent(share: float) -> str:
    """Return a share in words that claim neither certainty nor impossibility."""
    if share > 0.99:
        return "over 99%"
    if share < 0.01:
        return "under 1%"
    return f"{share:.0%}"


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds, with hours where there are any: '1:05', '2:00:00'."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def sentence(text: str) -> str:
    """Return the text with a capital letter."""
    return text[:1].upper() + text[1:]


def plain(text: str) -> str:
    """Return the text with everything escaped that Markdown would take for formatting."""
    return re.sub(r"[\\`*_\[\]<>$:~#|!]", r"\\\g<0>", text)
