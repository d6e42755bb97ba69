"""``python -m deploy.docker.gpu``: whether a container of this image computes on a card; the service ``gpu-check``."""

from __future__ import annotations

import sys

from inference.engines.devices import cuda_memory


def main() -> int:
    """Say which cards ONNX Runtime uses; 1 with the next step when it uses none."""
    import onnxruntime

    found = onnxruntime.get_available_providers()
    if "CUDAExecutionProvider" not in found:
        print(f"this image has no CUDA (providers: {', '.join(found)}): build it with VARIANT=cuda", file=sys.stderr)
        return 1
    cards = cuda_memory()
    if not cards:
        print(
            "the image has CUDA but sees no card: install the NVIDIA driver and container toolkit on the host, then try"
            " docker run --rm --gpus all IMAGE nvidia-smi",
            file=sys.stderr,
        )
        return 1
    sizes = ", ".join(f"{memory / 2**30:.0f} GiB" for memory in cards)
    print(f"{len(cards)} card(s) ({sizes}) for ONNX Runtime {onnxruntime.__version__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
