"""A webhook receiver over TLS, with a certificate from its own certificate authority."""

import datetime
import ipaddress
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(subject, key, issuer, issuer_key, *extensions):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def common_name(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Receiver:
    """Records each request as (headers, body) in `requests`; `respond(event)` returns the status of the response."""

    def __init__(self, folder):
        authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in "12")
        authority = certificate(common_name("authority"), authority_key, common_name("authority"), authority_key,
                                x509.BasicConstraints(ca=True, path_length=0))
        own = certificate(common_name("receiver"), key, common_name("authority"), authority_key,
                          x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]))
        pem = serialization.Encoding.PEM
        self.authority = folder / "authority.pem"
        self.authority.write_bytes(authority.public_bytes(pem))
        chain = folder / "receiver.pem"
        chain.write_bytes(own.public_bytes(pem) + key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

        self.requests, self.respond = [], lambda event: 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                receiver.requests.append((dict(self.headers), body))
                self.send_response(receiver.respond(json.loads(body)))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}/hooks/video"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def events(self, video_id=None):
        """Returns the received events, of one video if given."""
        events = [json.loads(body) for _, body in list(self.requests)]
        return [event for event in events if video_id in (None, event["object"]["id"])]

    def event_types(self, video_id):
        """Returns the types of a video's events by sequence, without duplicates."""
        return [kind for _, kind in sorted({(e["sequence"], e["type"]) for e in self.events(video_id)})]
