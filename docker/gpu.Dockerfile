# The service on an NVIDIA GPU; deploy/README.md says which driver it needs:
#
#   docker build -f docker/gpu.Dockerfile -t wsm-stt:gpu .
#
# It listens on every interface, so it wants STT_API_KEYS_FILE, or STT_ALLOW_WITHOUT_KEYS=true.
# CUDA, cuDNN and onnxruntime-gpu belong together; for CUDA 13 also LOCK=gpu-cuda13.txt.
ARG CUDA=12.9.1
FROM nvidia/cuda:${CUDA}-cudnn-runtime-ubuntu24.04 AS python
# Ubuntu keeps one version of each package only, so that pinned ones vanish.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/*

FROM python AS build
ARG LOCK=gpu-cuda12.txt
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/build && python3 -m venv /opt/wsm
COPY docker/requirements/build.txt docker/requirements/${LOCK} ./
RUN /opt/build/bin/pip install --require-hashes --requirement build.txt \
    && /opt/wsm/bin/pip install --no-compile --require-hashes --requirement "${LOCK}"
COPY pyproject.toml LICENSE README.md ./
COPY service service
COPY model_export model_export
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/wsm/bin/pip install --no-compile --no-deps --no-index dist/*.whl \
    && /opt/wsm/bin/pip check \
    && /opt/wsm/bin/pip uninstall --yes pip \
    && /opt/build/bin/cyclonedx-py environment --output-reproducible --output-file /opt/wsm/sbom.cdx.json /opt/wsm/bin/python

FROM python
RUN groupadd --system --gid 10001 wsm \
    && useradd --system --uid 10001 --gid wsm --no-create-home --home-dir /var/lib/wsm wsm \
    && install --directory --owner=wsm --group=wsm /var/lib/wsm/jobs
COPY --from=build /opt/wsm /opt/wsm
ENV PATH=/opt/wsm/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    STT_DEVICE=cuda \
    STT_HOST=0.0.0.0 \
    STT_JOBS_DIR=/var/lib/wsm/jobs \
    STT_LOG_FORMAT=json
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
ENTRYPOINT ["wsm-serve"]
CMD ["run"]
