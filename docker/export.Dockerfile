# Fine-tuning and export, with torch:
#
#   docker build -f docker/export.Dockerfile -t wsm-stt:export .
#   docker run --rm --user "$(id -u)" -v "$PWD:/work" wsm-stt:export evaluate runs/czech data/cs.jsonl#test
#
# TORCH_INDEX says for what torch is made: .../whl/cpu, or .../whl/cu129 with `docker run --gpus all`.
FROM python:3.11-slim-bookworm AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /src
RUN python3 -m venv /opt/wsm
COPY pyproject.toml LICENSE README.md ./
COPY service service
COPY model_export model_export
RUN PIP_EXTRA_INDEX_URL="${TORCH_INDEX}" /opt/wsm/bin/pip install --no-cache-dir --no-compile \
        --disable-pip-version-check '.[cpu,export]' \
    && /opt/wsm/bin/pip uninstall --yes pip

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
