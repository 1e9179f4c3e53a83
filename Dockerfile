# The single worker: Parakeet for words, pyannote for speakers. What is in it and how it is built: docs/images.md.
# Down to the mark, the three GPU images have the same steps, word for word: engines and registries then keep these layers once.
ARG BASE_IMAGE=python:3.12-slim-bookworm
# What is in front: worker takes RunPod's jobs, openai serves OpenAI's API (docs/OPENAI.md).
ARG FRONT=worker

FROM ${BASE_IMAGE} AS uv
COPY requirements/uv.txt /requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /opt/uv && /opt/uv/bin/python -m pip install --quiet --require-hashes -r /requirements/uv.txt

FROM ${BASE_IMAGE} AS locks
# The engine of speech, parakeet or whisper: whose locks are used.
ARG SPEECH=parakeet
WORKDIR /locks
COPY requirements/ /requirements/
RUN cp /requirements/*.txt . && python3 /requirements/shared.py "$SPEECH"

FROM ${BASE_IMAGE} AS dependencies
# Writable are /tmp and TEMP_DIR alone, so that a read-only root will do: all caches follow HOME. No telemetry.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYANNOTE_METRICS_ENABLED=0 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    DO_NOT_TRACK=1 \
    OTEL_SDK_DISABLED=true \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
# Python's own library is compiled here because the default base has it as source only, and at run time nothing can be kept.
RUN groupadd --gid 10001 worker \
    && useradd --no-log-init --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin worker \
    && python3 -m compileall -q -x '/(test|tests|idlelib|lib2to3|site-packages|dist-packages)/' "$(python3 -c 'import os; print(os.path.dirname(os.__file__))')" \
    && python3 -m venv --without-pip /opt/venv
# uv and its cache are mounted, not copied: what is installed is in one layer and nowhere else.
RUN --mount=type=bind,from=uv,source=/opt/uv,target=/opt/uv --mount=type=bind,from=locks,source=/locks/torch.txt,target=/lock.txt \
    --mount=type=cache,target=/root/.cache/uv \
    UV_CACHE_DIR=/root/.cache/uv /opt/uv/bin/uv pip install --python /opt/venv --link-mode copy --compile-bytecode --require-hashes --no-deps -r /lock.txt \
    && rm -rf /opt/venv/lib/python3*/site-packages/torch/include
RUN --mount=type=bind,from=uv,source=/opt/uv,target=/opt/uv --mount=type=bind,from=locks,source=/locks/shared.txt,target=/lock.txt \
    --mount=type=cache,target=/root/.cache/uv \
    UV_CACHE_DIR=/root/.cache/uv /opt/uv/bin/uv pip install --python /opt/venv --link-mode copy --compile-bytecode --require-hashes --no-deps -r /lock.txt \
    && find /opt/venv -type d -name tests -prune -exec rm -rf {} +
# ---- the mark: from here on, the role's own ----
RUN --mount=type=bind,from=uv,source=/opt/uv,target=/opt/uv --mount=type=bind,from=locks,source=/locks/single.txt,target=/lock.txt \
    --mount=type=cache,target=/root/.cache/uv \
    UV_CACHE_DIR=/root/.cache/uv /opt/uv/bin/uv pip install --python /opt/venv --link-mode copy --compile-bytecode --require-hashes --no-deps \
    --build-constraints /lock.txt -r /lock.txt

# Weights to bake: ids with revisions, with spaces between. The token comes as the build secret hf_token and stays in this step.
FROM dependencies AS weights
ARG BAKE_MODELS=""
ARG HF_ENDPOINT
WORKDIR /app
# What fetching needs and no more: another change of the code fetches nothing again.
COPY core/__init__.py core/errors.py core/settings.py core/
COPY core/modelstore core/modelstore
RUN --mount=type=secret,id=hf_token \
    mkdir /models \
    && if [ -n "$BAKE_MODELS" ]; then \
    HF_TOKEN="$(cat /run/secrets/hf_token 2>/dev/null || true)" python -m core.modelstore --prefetch $BAKE_MODELS --to /models \
    && rm -rf /models/*/.cache /models/*/.lock; fi

FROM dependencies AS code
WORKDIR /app
COPY core core
COPY handlers handlers
RUN python -m compileall -q core handlers

FROM dependencies AS worker
WORKDIR /app
COPY LICENSE .
COPY models/embedded models/embedded
COPY --from=weights /models /models
COPY --from=code /app .
USER 10001:10001
CMD ["python", "-m", "handlers.single"]
HEALTHCHECK NONE
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="parakeet-single" \
      org.opencontainers.image.description="Speech to text with speaker labels: Parakeet for words, pyannote for speakers" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM worker AS openai
EXPOSE 8000
CMD ["python", "-m", "handlers.openai", "--host", "0.0.0.0"]

FROM ${FRONT}
