"""What PyAV does in each case of the benchmark: pyav.py CASE CLIP FOLDER."""

import sys

import av

what, clip, folder = sys.argv[1:]

container = av.open(clip)
stream = container.streams.video[0]
stream.thread_type = "AUTO"
if what == "keyframes":
    stream.codec_context.skip_frame = "NONKEY"

for number, frame in enumerate(container.decode(stream)):
    if what == "decode" or what == "second" and number % 30:
        continue
    # In one go: a picture that is converted to RGB first and scaled then takes much longer.
    frame = frame.reformat(320, frame.height * 320 // frame.width, "rgb24", interpolation="AREA")
    frame.to_image().save(f"{folder}/{number:05}.jpg", quality=80)
