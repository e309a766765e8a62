# The service in a container. `docker compose up` starts it with Postgres and an S3-compatible storage.
FROM python:3.12-slim-bookworm AS built

WORKDIR /source
# what changes seldom first: a change of our own code does not fetch torch again
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
# TORCH chooses torch's build, as a wheel's address or a version; empty takes what the index has
ARG TORCH=
# postgres,ray where a cluster does the work
ARG EXTRAS=postgres
RUN python -m venv /opt/modelgenerator \
 && if [ -n "$TORCH" ]; then /opt/modelgenerator/bin/pip install --no-cache-dir "$TORCH"; fi \
 && /opt/modelgenerator/bin/pip install --no-cache-dir -c constraints.txt ".[$EXTRAS]"
# two small networks that find people; without them the next segmenter serves
RUN /opt/modelgenerator/bin/python -m modelgenerator.cli.person_files || true

FROM python:3.12-slim-bookworm
# libgl and the like are not needed: opencv is the headless build
RUN useradd --create-home --uid 10001 modelgenerator \
 && install -d -o modelgenerator -g modelgenerator /data
COPY --from=built /opt/modelgenerator /opt/modelgenerator
USER modelgenerator
ENV PATH=/opt/modelgenerator/bin:$PATH \
    MODELGENERATOR_HOST=0.0.0.0 \
    MODELGENERATOR_DATA_DIR=/data \
    HF_HOME=/data/hub \
    OMP_WAIT_POLICY=PASSIVE \
    PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8080
# SIGTERM lets jobs save a checkpoint: give it the minute that it promises to need at most
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
ENTRYPOINT ["modelgenerator"]
CMD ["serve"]
