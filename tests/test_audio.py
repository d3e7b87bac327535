import io
import os
import signal
import stat
import sys
import warnings

import av
import hostile
import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

import audio
import limits
from audio import SAMPLE_RATE, AudioError, load, stream, without_offset

# libsndfile reads MP3 inside WAV, but does not write it.
WAV_SUBTYPES = sorted(soundfile.available_subtypes("WAV").keys() - {"MPEG_LAYER_III"})
# Worst distance from the tone that each lossy or coarse coding may cause.
COARSE = {
    "ALAW": 0.02,
    "ULAW": 0.02,
    "GSM610": 0.2,
    "IMA_ADPCM": 0.1,
    "MS_ADPCM": 0.05,
    "PCM_U8": 0.008,
    "G721_32": 0.1,
    "NMS_ADPCM_16": 0.3,
    "NMS_ADPCM_24": 0.3,
    "NMS_ADPCM_32": 0.3,
}


def tone(rate=SAMPLE_RATE, seconds=1.0, frequency=1000.0, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def encode(samples, rate=SAMPLE_RATE, container="WAV", subtype=None):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=subtype)
    return file.getvalue()


def encode_av(samples, rate, container, codec):
    """Mono samples through one of FFmpeg's encoders."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        planar = np.asarray(samples, np.float32)[None]
        frame = av.AudioFrame.from_ndarray(planar, format="fltp", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format, "mono", rate, stream.frame_size or None)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


def distance_from_tone(waveform, margin=500):
    """Largest difference from the ideal tone, away from the resampler's ends."""
    ideal = tone(seconds=len(waveform) / SAMPLE_RATE)
    return np.abs(waveform - ideal)[margin:-margin].max()


def spectral_peak(waveform):
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return spectrum.argmax() * SAMPLE_RATE / len(waveform)


def message_of(source):
    with pytest.raises(AudioError) as caught:
        load(source)
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    return message


@pytest.mark.parametrize(
    "rate", [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 192000]
)
def test_a_tone_of_any_sampling_rate_comes_out_as_that_tone(rate):
    waveform = load(encode(tone(rate), rate, subtype="FLOAT"))
    assert waveform.dtype == np.float32
    assert waveform.shape == (SAMPLE_RATE,)
    assert distance_from_tone(waveform) < 1e-4


def test_nothing_folds_down_from_above_the_new_nyquist_frequency():
    waveform = load(encode(tone(48000, frequency=15_000), 48000, subtype="FLOAT"))
    assert np.abs(waveform[500:-500]).max() < 1e-4


@pytest.mark.parametrize("subtype", WAV_SUBTYPES)
def test_every_wav_subtype_decodes(subtype):
    rate = 8000 if subtype.startswith(("G72", "NMS")) else SAMPLE_RATE
    waveform = load(encode(tone(rate), rate, subtype=subtype))
    # A codec of whole blocks pads the last one.
    assert SAMPLE_RATE <= len(waveform) < 1.2 * SAMPLE_RATE
    assert distance_from_tone(waveform[:SAMPLE_RATE]) < COARSE.get(subtype, 1e-4)


@pytest.mark.parametrize(
    ("container", "subtype", "tolerance"),
    [
        ("FLAC", "PCM_16", 1e-4),
        ("FLAC", "PCM_24", 1e-4),
        ("AIFF", "PCM_16", 1e-4),
        ("W64", "PCM_16", 1e-4),
        ("RF64", "PCM_32", 1e-4),
        ("CAF", "ALAC_16", 1e-4),
        ("AU", "PCM_16", 1e-4),
        ("OGG", "VORBIS", 0.05),
        ("OGG", "OPUS", 0.05),
        ("MP3", "MPEG_LAYER_III", 0.05),
    ],
)
def test_other_formats_of_libsndfile_decode(container, subtype, tolerance):
    waveform = load(encode(tone(48000), 48000, container, subtype))
    assert len(waveform) == SAMPLE_RATE
    assert distance_from_tone(waveform, margin=2000) < tolerance


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("ipod", "aac"),
        ("mp4", "aac"),
        ("adts", "aac"),
        ("webm", "libopus"),
        ("matroska", "pcm_s16le"),
        ("matroska", "pcm_s32le"),
        ("matroska", "pcm_u8"),
        ("3gp", "aac"),
    ],
)
def test_formats_of_ffmpeg_decode(container, codec, capfd):
    waveform = load(encode_av(tone(48000), 48000, container, codec))
    assert len(waveform) == pytest.approx(SAMPLE_RATE, rel=0.1)  # coders pad and delay
    middle = waveform[5000:-5000]
    assert spectral_peak(middle) == pytest.approx(1000, abs=3)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert capfd.readouterr() == ("", "")


def test_both_decoders_of_mp3_agree(monkeypatch):
    data = encode(tone(44100), 44100, "MP3")
    by_ffmpeg = load(data)
    monkeypatch.setitem(sys.modules, "av", None)
    np.testing.assert_allclose(load(data), by_ffmpeg, atol=1e-3)


def test_path_text_bytes_and_file_object_give_the_same(tmp_path):
    data = encode(tone(44100), 44100)
    path = tmp_path / "tone.wav"
    path.write_bytes(data)
    expected = load(data)
    file = io.BytesIO(data)
    file.seek(100)  # as after someone else has read from it
    with path.open("rb") as opened:
        for source in (path, str(path), file, opened):
            np.testing.assert_array_equal(load(source), expected)
        assert not opened.closed


@pytest.mark.parametrize("name", ["x.raw", "x.vox", "x.gsm", "x.txt", "x", "ü 😀.mp3", "http:x"])
def test_the_name_says_nothing_about_the_format(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(encode(tone()))
    assert len(load(path)) == SAMPLE_RATE
    path.write_bytes(b"no sound at all, but a text of more than a few bytes" * 50)
    message_of(path)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 64])
def test_channels_are_averaged(channels):
    rng = np.random.default_rng(channels)
    samples = rng.uniform(-1, 1, (3000, channels)).astype(np.float32)
    waveform = load(encode(samples, subtype="FLOAT"))
    np.testing.assert_allclose(waveform, without_offset(samples.mean(axis=1)), atol=1e-6)


def test_opposite_channels_cancel():
    left = tone(48000)
    waveform = load(encode(np.column_stack([left, -left]), 48000))
    assert np.abs(waveform).max() < 1e-4


@pytest.mark.parametrize(("subtype", "steps"), [("PCM_16", 2**15), ("PCM_24", 2**23)])
def test_integers_are_scaled_to_full_scale(subtype, steps):
    waveform = load(encode(np.array([-1.0, -0.5, 0.0, 0.5, 1.0]), subtype=subtype))
    np.testing.assert_allclose(waveform, [-1, -0.5, 0, 0.5, 1], atol=1.01 / steps)


@pytest.mark.parametrize("container", ["WAV", "FLAC", "AIFF"])
def test_sixteen_bits_are_the_floats_that_libsndfile_makes_of_them(container):
    every = np.arange(-(2**15), 2**15, dtype=np.int16)
    data = encode(every, container=container, subtype="PCM_16")
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    np.testing.assert_array_equal(load(data), expected)


@settings(max_examples=60)
@given(
    rate=st.integers(limits.MIN_RATE, limits.MAX_RATE),
    length=st.integers(100, 100_000),
    channels=st.integers(1, 8),
)
def test_decoding_in_blocks_equals_resampling_in_one_go(rate, length, channels):
    samples = np.random.default_rng(length).uniform(-0.5, 0.5, (length, channels))
    samples = samples.astype(np.float32)
    data = encode(samples, rate, subtype="FLOAT")
    expected = soxr.resample(samples.mean(axis=1), rate, SAMPLE_RATE, quality="HQ")
    if len(expected):
        np.testing.assert_allclose(load(data), without_offset(expected), atol=1e-6)
    else:
        message_of(data)


def test_original_recordings_equal_their_resampled_twins(shared_data):
    originals = sorted((shared_data / "ravdess-original").glob("*.wav"))
    assert len(originals) == 10
    for path in originals:
        (twin,) = (shared_data / "ravdess").glob(f"*/*/{path.stem}.flac")
        original, resampled = load(path), load(twin)
        # The twins were rounded up to whole samples, and padded with one zero for that.
        assert 0 <= len(resampled) - len(original) <= 1
        resampled = resampled[: len(original)]
        assert np.corrcoef(original, resampled)[0, 1] > 0.9999
        assert np.abs(original - resampled).max() <= 1 / 2**15


@pytest.mark.parametrize("kind", ["wav", "mp3", "m4a"])
@pytest.mark.parametrize("seconds", [0.25, 7, 60])
def test_a_stream_is_the_waveform_in_pieces(kind, seconds):
    noisy = tone(44100, seconds=16) + np.random.default_rng(0).uniform(-0.1, 0.1, 16 * 44100) + 0.1
    if kind == "m4a":
        data = encode_av(noisy, 44100, "ipod", "aac")
    else:
        data = encode(noisy, 44100, kind.upper())
    shares = []
    pieces = list(stream(data, seconds=seconds, progress=shares.append))
    assert {len(piece) for piece in pieces[:-1]} <= {round(seconds * SAMPLE_RATE)}
    assert 0 < len(pieces[-1]) <= round(seconds * SAMPLE_RATE)
    np.testing.assert_array_equal(np.concatenate(pieces), load(data))
    assert len(shares) == len(pieces)
    assert shares[-1] == pytest.approx(1, abs=0.01)


def test_a_stream_reads_no_further_than_it_is_asked():
    file = io.BytesIO(encode(tone(seconds=100)))
    pieces = stream(file, seconds=10)
    next(pieces)
    assert file.tell() < 0.3 * len(file.getvalue())


def test_a_stream_that_fails_has_given_what_came_before():
    samples = tone(48000, seconds=30)
    samples[-1] = np.nan
    pieces = stream(encode(samples, 48000, subtype="FLOAT"), seconds=10)
    assert len(next(pieces)) == len(next(pieces)) == 10 * SAMPLE_RATE
    with pytest.raises(AudioError, match="NaN or infinite"):
        next(pieces)


def test_what_somebody_does_with_a_piece_is_not_a_fault_of_the_sound():
    def fail(_share):
        raise OSError("the bar cannot be drawn")

    with pytest.raises(OSError, match="bar"):
        list(stream(encode(tone()), progress=fail))


def test_where_one_decoder_ends_the_other_goes_on(monkeypatch):
    ramp = np.linspace(-0.5, 0.5, 3 * SAMPLE_RATE).astype(np.float32)

    def half(_file):
        yield SAMPLE_RATE, ramp[:SAMPLE_RATE, np.newaxis]
        raise audio._DecoderError("libsndfile: it is damaged")

    def whole(_file):
        yield SAMPLE_RATE, ramp[:, np.newaxis]

    monkeypatch.setattr(audio, "_read_soundfile", half)
    monkeypatch.setattr(audio, "_read_av", whole)
    np.testing.assert_allclose(load(b"what the decoders ignore"), ramp, atol=1e-6)
    monkeypatch.setattr(audio, "_read_soundfile", whole)
    monkeypatch.setattr(audio, "_read_av", half)
    np.testing.assert_allclose(load(b"what the decoders ignore"), ramp, atol=1e-6)


@pytest.mark.parametrize("seconds", [1, 30])
@pytest.mark.parametrize("offset", [-0.2, 0.01, 0.003])
def test_an_offset_is_removed(seconds, offset):
    samples = tone(seconds=seconds, amplitude=0.3)
    waveform = load(encode(samples + offset, subtype="FLOAT"))
    np.testing.assert_allclose(waveform, load(encode(samples, subtype="FLOAT")), atol=1e-5)


def test_a_waveform_without_offset_stays_as_it_is():
    waveform = (tone() + 0.001).astype(np.float32)
    np.testing.assert_array_equal(without_offset(waveform), waveform)
    np.testing.assert_array_equal(load(encode(waveform, subtype="FLOAT")), waveform)


def test_the_recordings_of_the_corpora_have_no_offset(shared_data):
    clips = [*sorted(shared_data.glob("ravdess/*/*/*.flac"))[::50]]
    clips += sorted(shared_data.glob("crema-d/*.opus"))[::200]
    for clip in clips:
        waveform = load(clip)
        np.testing.assert_array_equal(without_offset(waveform), waveform)


# --- bad input ---


def test_message_names_file_finding_and_advice(tmp_path):
    path = tmp_path / "notes.wav"
    path.write_text("these are notes, not a sound\n" * 20)
    message = message_of(path)
    assert message.startswith(f"{path}: ")
    assert "expected WAV" in message
    assert "convert" in message


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.touch(), "is empty"),
        (lambda path: os.mkfifo(path), "pipe or device"),
        (lambda path: path.symlink_to("nowhere"), "broken link"),
        (lambda path: path.symlink_to(path.name), "cannot be read"),
        (lambda path: path.symlink_to("/dev/zero"), "pipe or device"),
        (lambda path: path.write_bytes(b"\0" * 5000), "no sound"),
        (lambda path: path.write_bytes(b"\xff"), "no sound"),
        (lambda path: path.write_bytes(encode(tone(), container="SDS")), "MIDI sample dump"),
        (lambda path: path.write_bytes(b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"), "no sound"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 99), "no sound"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links of Unix")
def test_what_is_no_sound_is_said_in_one_line(tmp_path, make, words, capfd):
    path = tmp_path / "strange.wav"
    make(path)
    assert words in message_of(path)
    assert capfd.readouterr() == ("", "")


def test_unreadable_file(tmp_path, monkeypatch):
    path = tmp_path / "secret.wav"
    path.write_bytes(encode(tone()))

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # chmod would not stop root
    assert "Permission denied" in message_of(path)


def test_names_that_cannot_be_printed(tmp_path):
    assert "\\n" in message_of(tmp_path / "line\nbreak\x1b[31m.wav")
    assert "\\udcff" in message_of(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav"))
    assert "no file name" in message_of("zero\0byte.wav")
    assert "cannot be read" in message_of("x" * 300 + ".wav")


def test_file_objects_of_the_wrong_kind(tmp_path):
    path = tmp_path / "tone.wav"
    path.write_bytes(encode(tone()))
    with path.open(encoding="latin-1") as file:
        assert "'rb'" in message_of(file)
    assert "'rb'" in message_of(io.StringIO("text"))
    assert "empty" in message_of(b"")
    reader, writer = os.pipe()
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        assert stat.S_ISFIFO(os.fstat(reader).st_mode)
        assert "is a stream" in message_of(stream)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("position", [0, 70_000, -1])
def test_nan_and_infinity_are_refused(value, position):
    samples = tone(48000, seconds=3)
    samples[position] = value
    assert "NaN or infinite" in message_of(encode(samples, 48000, subtype="FLOAT"))


def test_values_far_out_of_scale_are_refused_and_overshoots_are_not():
    assert "up to 3e+04" in message_of(encode(30_000 * tone(amplitude=1), subtype="FLOAT"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "NaN or infinite" in message_of(encode(np.full(9, 1e300), subtype="DOUBLE"))
        assert "3e+38" in message_of(encode(np.full((9, 4), 3e38, "f4"), subtype="FLOAT"))
    assert np.abs(load(encode(tone(amplitude=2), subtype="FLOAT"))).max() > 1.9


@pytest.mark.parametrize("rate", [1, 3999, 768_001, 2**31 - 1])
def test_absurd_sampling_rates_are_refused(rate):
    assert f"{rate} Hz" in message_of(encode(np.zeros(100), rate))


def test_too_many_channels_are_refused():
    assert "65 channels" in message_of(encode(np.zeros((100, 65))))


def test_no_samples_are_refused():
    assert "not one sample" in message_of(encode(np.empty(0)))
    assert "not one sample" in message_of(encode(np.zeros(1), 192_000))  # none left at 22 050 Hz


def test_one_sample_and_silence_are_sounds():
    np.testing.assert_array_equal(load(encode(np.zeros(1))), [0])
    np.testing.assert_array_equal(load(encode(np.zeros(48000), 48000)), np.zeros(SAMPLE_RATE))


def test_too_long_a_sound_is_refused_before_it_is_whole(monkeypatch):
    monkeypatch.setattr(limits, "RECORDING_HOURS", 0.1)
    data = encode(np.zeros(8000 * 370, np.int16), 8000, "FLAC")
    assert len(data) < 50_000
    assert "longer than 0.1 hours" in message_of(data)


def test_length_claimed_by_a_header_is_not_believed():
    data = bytearray(encode(tone()))
    data[40:44] = (0xFFFFFFF0).to_bytes(4, "little")  # four gigabytes of samples
    assert len(load(bytes(data))) == SAMPLE_RATE
    data = bytearray(encode(tone(), container="FLAC"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # length unknown, as a recorder writes that streams
    assert len(load(bytes(data))) == SAMPLE_RATE


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
def test_of_a_cut_file_the_beginning_is_kept(container, capfd):
    noise = np.random.default_rng(0).uniform(-0.02, 0.02, 4 * 44100)  # keeps an encoder busy
    whole = encode(tone(44100, seconds=4) + noise, 44100, container)
    waveform = load(whole[: len(whole) // 2])
    assert 1 < len(waveform) / SAMPLE_RATE < 3
    assert distance_from_tone(waveform, margin=3000) < 0.1
    assert capfd.readouterr() == ("", "")


def test_damage_in_the_middle_does_not_end_a_sound():
    for data in (
        bytearray(encode_av(tone(48000, seconds=4), 48000, "adts", "aac")),
        bytearray(encode(np.random.default_rng(0).uniform(-0.5, 0.5, 88200), container="FLAC")),
    ):
        data[len(data) // 2 : len(data) // 2 + 200] = b"\xa5" * 200
        assert len(load(bytes(data))) > 3.5 * SAMPLE_RATE


def test_video_without_sound():
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
        output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    assert "without sound" in message_of(file.getvalue())


def test_no_more_than_all_of_a_film_that_was_cut_off_is_read(tmp_path):
    file = tmp_path / "film.mp4"
    with av.open(str(file), "w", options={"movflags": "faststart"}) as output:
        picture, sound = output.add_stream("mpeg4", rate=10), output.add_stream("aac", rate=48_000)
        picture.width, picture.height, picture.pix_fmt = 320, 240, "yuv420p"
        picture.bit_rate = 8_000_000
        noise = np.random.default_rng(0)
        for number in range(60):
            image = noise.integers(0, 255, (240, 320, 3), np.uint8)
            output.mux(picture.encode(av.VideoFrame.from_ndarray(image)))
            frame = av.AudioFrame.from_ndarray(
                noise.uniform(-0.1, 0.1, (1, 4800)).astype(np.float32), "flt", "mono"
            )
            frame.sample_rate, frame.pts = 48_000, 4800 * number
            output.mux(sound.encode(frame))
        output.mux(picture.encode(None))
        output.mux(sound.encode(None))
    for share in (0.3, 0.4, 0.5, 0.6, 0.7):
        cut, shares = file.read_bytes()[: round(share * file.stat().st_size)], []
        list(audio.stream(cut, seconds=0.5, progress=shares.append))
        assert max(shares) == 1.0


def test_missing_pyav_matters_only_where_it_is_needed(monkeypatch):
    m4a = encode_av(tone(48000), 48000, "ipod", "aac")
    monkeypatch.setitem(sys.modules, "av", None)
    assert len(load(encode(tone()))) == SAMPLE_RATE
    assert "pip install av" in message_of(m4a)


ENCODED = {
    "wav": encode(tone(48000), 48000),
    "adpcm": encode(tone(16000), 16000, subtype="IMA_ADPCM"),
    "aiff": encode(tone(), container="AIFF"),
    "flac": encode(tone(), container="FLAC"),
    "vorbis": encode(tone(), container="OGG"),
    "opus": encode(tone(48000), 48000, "OGG", "OPUS"),
    "mp3": encode(tone(), container="MP3"),
    "m4a": encode_av(tone(48000), 48000, "ipod", "aac"),
    "webm": encode_av(tone(48000), 48000, "webm", "libopus"),
}


@settings(max_examples=200)
@given(
    kind=st.sampled_from(sorted(ENCODED)),
    length=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=20),
    in_header=st.booleans(),
)
def test_a_damaged_file_gives_a_waveform_or_one_line(kind, length, flips, in_header):
    data = bytearray(ENCODED[kind])
    for place, value in flips:
        data[int(place * (200 if in_header else len(data)))] = value
    try:
        waveform = load(bytes(data[: round(length * len(data))]))
    except AudioError:
        return
    assert waveform.dtype == np.float32
    assert len(waveform) > 0
    assert np.isfinite(waveform).all()


def test_a_picture_in_a_sound_is_not_unpacked(monkeypatch):
    cover = hostile.covered(hostile.png(40, 30))
    pictures = []
    find = av.open

    def spy(*args, **options):
        pictures.append(set(options["options"]["codec_whitelist"].split(",")) & {"png", "mjpeg"})
        return find(*args, **options)

    monkeypatch.setattr(av, "open", spy)
    assert len(load(cover)) > 0.2 * SAMPLE_RATE
    assert pictures == [set()]


@pytest.mark.parametrize("kind", ["WAV", "MP3"])
def test_ctrl_c_while_a_decoder_reads_is_heard_and_no_fault_of_the_file(kind) -> None:
    class Interrupting(io.BytesIO):
        reads = 0

        def read(self, size: int = -1) -> bytes:
            self.reads += 1
            if self.reads == 3:  # the first looks for what kind of file it is
                signal.raise_signal(signal.SIGINT)
            return super().read(size)

    file = Interrupting()
    soundfile.write(file, np.zeros(SAMPLE_RATE), SAMPLE_RATE, format=kind)
    file.reads = 0
    # Which a test that runs in the background would not have.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            load(file)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_whatever_holds_bytes_is_a_file(kind) -> None:
    content = encode(tone(SAMPLE_RATE))
    np.testing.assert_array_equal(load(kind(content)), load(content))


@pytest.mark.parametrize("source", [None, 5, np.zeros(SAMPLE_RATE, np.float32)])
def test_what_is_no_file_is_said(source) -> None:
    assert f"is of type {type(source).__name__}, expected a path" in message_of(source)


def test_printable_escapes_what_a_terminal_obeys():
    assert audio.printable("é \x1b[31m\n日") == "é \\x1b[31m\\n日"


def test_a_part_is_read_to_its_end_and_no_further() -> None:
    samples = tone(8000, seconds=35)
    samples[-1] = np.nan
    assert len(audio.load_part(encode(samples, 8000, subtype="FLOAT"), 12, 13)) == SAMPLE_RATE


def test_a_rate_that_changes_within_a_file_costs_no_sound(monkeypatch) -> None:
    def changing(_):
        for rate in (44_100, 48_000):
            yield rate, tone(rate)[:, np.newaxis].astype(np.float32)

    monkeypatch.setattr(audio, "_read_soundfile", changing)
    assert len(load(b"what the decoders ignore")) == 2 * SAMPLE_RATE


def test_a_title_in_another_encoding_costs_no_sound() -> None:
    title = b"\x03Gr\xfc\xdfe"  # said to be UTF-8, and is Latin-1
    frame = b"TIT2" + len(title).to_bytes(4, "big") + b"\0\0" + title
    tag = b"ID3\x04\0\0" + len(frame).to_bytes(4, "big") + frame
    assert len(load(tag + encode_av(tone(48_000), 48_000, "adts", "aac"))) > 0.9 * SAMPLE_RATE
