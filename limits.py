"""How much is accepted: what is beyond a limit is refused in one line that says what is allowed.

Numbers alone, each with its comment: SECURITY.md shows them as a table (`make tables`).
"""

# A recording.
RECORDING_HOURS = 4  # hours that a recording lasts
CHANNELS = 64  # channels of a recording
MIN_RATE = 4_000  # Hz, the lowest sampling rate: speech needs it
MAX_RATE = 768_000  # Hz, the highest sampling rate: no recorder exceeds it
PEAK = 100  # times full scale, the largest sample: beyond are integers stored as floats, or damage

# What brings recordings.
MEMBER_MB = 256  # MB of a member of an archive, unpacked, or of a file at an address
ARCHIVE_MEMBERS = 100_000  # members of an archive that is uploaded
LIST_ROWS = 200_000  # rows of a list
LIST_LINE = 10_000  # characters of a line in a list

# A visit to the page.
UPLOAD_MB = 150  # MB of an uploaded file (`.streamlit/config.toml` says so, too)
VISIT_MB = 300  # MB of sound in memory: uploads, and what was in archives
VOICE_SECONDS = 180  # seconds of a known voice: more says hardly more about it, and takes time
KEPT_SECONDS = 300  # seconds of a recording that is kept: one emotion hardly lasts longer
PLAYER_MINUTES = 10  # minutes of a recording that has to be converted for the browser's player

# All visits together.
LISTENING = 4  # visitors who are listened to at the same time
WAITING = 100  # visitors who wait for their turn
