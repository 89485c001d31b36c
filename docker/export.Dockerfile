# Fine-tuning and export, with torch:
#
#   docker build -f docker/export.Dockerfile -t wsm-stt:export .
#   docker run --rm --user "$(id -u)" -v "$PWD:/work" wsm-stt:export evaluate runs/czech data/cs.jsonl#test
#
# TORCH_INDEX says for what torch is made: .../whl/cpu, or .../whl/cu129 with `docker run --gpus all`.
# It is taken from nowhere else, since PyPI has builds of gigabytes for CUDA under the same version.
# All else is locked with hashes; torch has its version only, since each of its builds has others.
FROM python:3.11-slim-bookworm AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG TORCH=2.13.0
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY docker/requirements/build.txt docker/requirements/export.txt ./
RUN python3 -m venv /opt/build && python3 -m venv /opt/wsm \
    && /opt/build/bin/pip install --require-hashes --requirement build.txt \
    && /opt/wsm/bin/pip install --no-compile --no-deps --require-hashes --requirement export.txt \
    && /opt/wsm/bin/pip install --no-compile --index-url "${TORCH_INDEX}" "torch==${TORCH}"
COPY pyproject.toml LICENSE README.md ./
COPY service service
COPY model_export model_export
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/wsm/bin/pip install --no-compile --no-deps --no-index dist/*.whl \
    && /opt/wsm/bin/pip check \
    && /opt/wsm/bin/pip uninstall --yes pip \
    && /opt/build/bin/cyclonedx-py environment --output-reproducible --output-file /opt/wsm/sbom.cdx.json /opt/wsm/bin/python

FROM python:3.11-slim-bookworm
COPY --from=build /opt/wsm /opt/wsm
# Any user may run it, so that what it writes belongs to whoever called it.
ENV PATH=/opt/wsm/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
WORKDIR /work
USER 10001
ENTRYPOINT ["wsm-export"]
CMD ["--help"]
