"""A real SMTP server, aiosmtpd, that does what the recipient's local part says.

    451.rcpt@…        refuses the recipient with 451; 550.end@… the message, after its end; 421.rcpt@… and so on
    451.rcpt.once@…   only the first time
    drop.data@…       hangs up in the middle of the message
    drop.end@…        takes the message, and hangs up without a word
    anything else     is taken

Listens in three ways: in the clear, with STARTTLS required, and with TLS from the start; the last two want the login
hola / s3cret:käse. Prints one line of JSON, the ports and the file of its authority; writes each message that it took
as a line of JSON into the file that is its argument. Ends when its standard input does.
"""

import asyncio
import email
import email.policy
import json
import logging
import ssl
import sys
import warnings

import trustme
from aiosmtpd.smtp import SMTP, AuthResult

LOGIN = ("hola", "s3cret:käse")
done = set()


def ordered(address, stage):
    """What the address wants at this stage, or None."""
    what, _, rest = address.split("@")[0].partition(".")
    if rest.removesuffix(".once") != stage:
        return None
    if rest.endswith(".once"):
        if address in done:
            return None
        done.add(address)
    return what


class Handler:
    def __init__(self, received):
        self.received = received

    async def handle_RCPT(self, server, session, envelope, address, options):
        what = ordered(address, "rcpt")
        if what:
            return f"{what} {what[0]}.7.1 <{address}> is not welcome"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        what = ordered(envelope.rcpt_tos[0], "end")
        if what and what.isdigit():
            return f"{what} {what[0]}.6.0 not this message"
        self.keep(server, session, envelope)
        if what == "drop":
            server.transport.abort()
        return "250 OK"

    def keep(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        part = lambda kind: (lambda found: found and found.get_content())(message.get_body((kind,)))
        line = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": {name: str(value) for name, value in message.items()},
            "defects": [str(defect) for found in message.walk() for defect in found.defects],
            "text": part("plain"),
            "html": part("html"),
            "tls": server.transport.get_extra_info("sslcontext") is not None,
            "authenticated": bool(session.authenticated),
            "connection": session.peer[1],
        }
        with open(self.received, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class Server(SMTP):
    async def smtp_DATA(self, arg):
        if self.envelope.rcpt_tos and ordered(self.envelope.rcpt_tos[0], "data") == "drop":
            await self.push("354 go on")
            await self._reader.readline()
            self.transport.abort()
            return
        await super().smtp_DATA(arg)


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login.decode(), data.password.decode()) == LOGIN
    return AuthResult(success=good, handled=False)


async def main():
    # What aiosmtpd says of logins without TLS, and of its own parts, is no news here.
    warnings.simplefilter("ignore")
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    ca_file = sys.argv[1] + ".ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    handler = Handler(sys.argv[1])
    login = {"authenticator": authenticate, "auth_required": True}
    ways = {
        "plain": ({}, None),
        "starttls": ({"tls_context": context, "require_starttls": True, **login}, None),
        "tls": ({"auth_require_tls": False, **login}, context),
    }
    loop, ports = asyncio.get_running_loop(), {}
    servers = []
    for way, (options, tls) in ways.items():
        make = lambda options=options: Server(handler, hostname="mail.test", **options)
        server = await loop.create_server(make, "127.0.0.1", 0, ssl=tls)
        servers.append(server)
        ports[way] = server.sockets[0].getsockname()[1]
    print(json.dumps({**ports, "ca_file": ca_file}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
