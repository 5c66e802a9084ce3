# The image of workers on Flink, Dataflow and other clusters, and of what launches jobs there.
#
#   docker build --tag embeddings .
#   docker build --tag embeddings --build-arg MODEL=vggish .      # with the model inside
#
# python:slim with Beam's start program beside it, as Beam documents, and not Beam's own image: that
# one is gigabytes larger and pins hundreds of packages that this program has no use for.
# The version of Beam has to be the launcher's.
ARG BEAM_VERSION=2.77.0
FROM apache/beam_python3.11_sdk:${BEAM_VERSION} AS beam

FROM python:3.11.14-slim-bookworm
ARG BEAM_VERSION
# A folder of the checkout, whose content becomes /opt/model; the default holds no model.
ARG MODEL=deploy/model

# RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT: workers start in this environment; else Beam's start
# program makes another for each of them. HOME: for caches, whoever the user is.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1 \
    TF_CPP_MIN_LOG_LEVEL=2

# A compiler, since the native engine is compiled where the program is installed: below for all CPUs, and
# by the start program, which installs the launcher's version, for the worker's own.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install --yes --no-install-recommends g++ && \
    rm -rf /var/lib/apt/lists/*

# The large layer, which changes with the requirements only. All codecs are in wheels (libsndfile,
# FFmpeg, soxr). The start program installs the launcher's version of this program over the one in
# here, with this setuptools, so the environment belongs to user 9999, as whom Flink's image runs
# too. There is no USER: Dataflow runs its workers as root, and Kubernetes names the user.
COPY requirements.txt /opt/program/requirements.txt
RUN python3 -m venv /opt/venv && \
    pip install --no-cache-dir --requirement /opt/program/requirements.txt \
        "apache-beam[aws,gcp]==${BEAM_VERSION}" && \
    chown -R 9999:9999 /opt/venv

COPY LICENSE MANIFEST.in README.md pyproject.toml setup.py /opt/program/
COPY pipeline /opt/program/pipeline
COPY transforms /opt/program/transforms
RUN VGGISH_INSTRUCTIONS=all pip install --no-cache-dir --no-deps --no-build-isolation /opt/program && \
    pip check && \
    find /opt/venv -user root -exec chown --no-dereference 9999:9999 {} + && \
    rm -r /opt/program

COPY ${MODEL} /opt/model
COPY --from=beam /opt/apache/beam /opt/apache/beam

WORKDIR /tmp
ENTRYPOINT ["/opt/apache/beam/boot"]
