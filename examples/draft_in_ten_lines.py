"""Turn a chest radiograph into report text, in ten lines.

    python examples/draft_in_ten_lines.py chest.dcm

The second argument may name another checkpoint, or its folder. The default is the demonstration
model, which is not for clinical use.
"""

import sys
from pathlib import Path

from echo_node import EchoForReportGeneration, EchoProcessor, find_checkpoint, read_chest_image

checkpoint = find_checkpoint(sys.argv[2] if len(sys.argv) > 2 else "echo-demo")
processor = EchoProcessor.from_pretrained(checkpoint)
model = EchoForReportGeneration.from_pretrained(checkpoint).train(mode=False)
_, image = read_chest_image(Path(sys.argv[1]))
print(processor.batch_decode(model.generate(**processor(images=image)))[0])
