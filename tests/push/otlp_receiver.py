"""A receiver of OTLP metrics that reads them with OpenTelemetry's own messages.

Prints its port, then a line of JSON for every request that is as it has to be; a request that is not gets 400 and what is
wrong with it. Arguments: how many requests to turn away at first, with 503.
"""

import gzip
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service

turned_away = int(sys.argv[1])


def read(headers, body):
    """The request in a body."""
    assert headers["Content-Type"] == "application/x-protobuf", headers["Content-Type"]
    assert headers["Content-Encoding"] == "gzip", headers["Content-Encoding"]
    request = service.ExportMetricsServiceRequest()
    request.ParseFromString(gzip.decompress(body))
    size = request.ByteSize()
    request.DiscardUnknownFields()
    assert request.ByteSize() == size, "unknown fields"
    return request


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        global turned_away
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if turned_away > 0:
            turned_away -= 1
            return self.answer(503, b"", "text/plain")
        try:
            assert self.path == "/v1/metrics", self.path
            request = read(self.headers, body)
        except Exception as error:  # Whatever it is, the test wants to see it.
            return self.answer(400, repr(error).encode(), "text/plain")
        print(json.dumps(MessageToDict(request)), flush=True)
        return self.answer(200, service.ExportMetricsServiceResponse().SerializeToString(), "application/x-protobuf")

    def answer(self, status, content, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
