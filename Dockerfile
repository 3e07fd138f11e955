# Serves a guard: docker build -t guard . && docker run --rm -p 8000:8000 -v /path/to/my-guard:/guard:ro guard
FROM python:3.12-slim
WORKDIR /app
# PyTorch without CUDA, at the pinned version; then the other pins without those of the tests.
COPY requirements.txt .
RUN grep -E '^torch(vision)?==' requirements.txt > torch.txt \
 && sed '/^# tests/,$d' requirements.txt | grep -vE '^torch(vision)?==' > rest.txt \
 && pip install --no-cache-dir --requirement torch.txt --extra-index-url https://download.pytorch.org/whl/cpu \
 && pip install --no-cache-dir --requirement rest.txt
COPY trust_core trust_core
RUN useradd --create-home guard
USER guard
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health')"]
ENTRYPOINT ["python", "-m", "trust_core", "guard", "serve", "/guard", "--host", "0.0.0.0"]
