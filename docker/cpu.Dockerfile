# The service on CPUs, with the bundles that come along and without torch:
#
#   docker build -f docker/cpu.Dockerfile -t wsm-stt:cpu .
#
# It listens on every interface, so it wants STT_API_KEYS_FILE, or STT_ALLOW_WITHOUT_KEYS=true.
FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY docker/requirements/build.txt docker/requirements/cpu.txt ./
RUN python3 -m venv /opt/build && python3 -m venv /opt/wsm \
    && /opt/build/bin/pip install --require-hashes --requirement build.txt \
    && /opt/wsm/bin/pip install --no-compile --require-hashes --requirement cpu.txt
COPY pyproject.toml LICENSE README.md ./
COPY service service
COPY model_export model_export
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/wsm/bin/pip install --no-compile --no-deps --no-index dist/*.whl \
    && /opt/wsm/bin/pip check \
    && /opt/wsm/bin/pip uninstall --yes setuptools pip \
    && /opt/build/bin/cyclonedx-py environment --output-reproducible --output-file /opt/wsm/sbom.cdx.json /opt/wsm/bin/python
# Nothing runs the tests and converters that numpy and onnxruntime bring along, or compiles.
WORKDIR /opt/wsm/lib/python3.11/site-packages
RUN find numpy onnxruntime -type d -name tests -prune -exec rm -r {} + \
    && find . -regex '.*\.\(pyi\|pyx\|pxd\|c\|h\|a\)' -delete \
    && rm -r onnxruntime/transformers onnxruntime/quantization onnxruntime/tools

FROM python:3.11-slim-bookworm
RUN groupadd --system --gid 10001 wsm \
    && useradd --system --uid 10001 --gid wsm --no-create-home --home-dir /var/lib/wsm wsm \
    && install --directory --owner=wsm --group=wsm /var/lib/wsm/jobs
COPY --from=build /opt/wsm /opt/wsm
ENV PATH=/opt/wsm/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    STT_HOST=0.0.0.0 \
    STT_JOBS_DIR=/var/lib/wsm/jobs \
    STT_LOG_FORMAT=json
USER 10001
EXPOSE 8000
# `docker compose up --wait` returns once the bundle is loaded and tested.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
ENTRYPOINT ["wsm-serve"]
CMD ["run"]
