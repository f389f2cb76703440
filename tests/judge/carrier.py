"""The official twilio library as the client of `recado carrier`, whose binary is the first argument.

It creates, lists, fetches, pages, changes and cancels, meets the errors that it knows, and validates the signatures of what
the carrier posts. Only the host of its requests is changed.
"""

import datetime
import http.server
import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.parse
import urllib.request

from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.rest.content.v1.content import ContentList
from twilio.rest.content.v1.content.approval_create import ApprovalCreateList

BINARY = sys.argv[1]
SID, TOKEN = "AC" + "1" * 32, "t0ken0fTheCarrier777777777777777"
OURS, CUSTOMER = "+34911222333", "+34600111222"
SERVICE = "MG" + "2" * 32
ARRIVES_WITHIN_S = 20


class Rewritten(TwilioHttpClient):
    """Sends what is meant for Twilio to the carrier."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        self.last = None

    def request(self, method, url, *args, **kwargs):
        parts = urllib.parse.urlsplit(url)
        assert parts.netloc.endswith(".twilio.com"), url
        self.last = super().request(method, urllib.parse.urlunsplit(self.base + parts[2:]), *args, **kwargs)
        return self.last


class Form(dict):
    """Name to list of values, in the manner of Django's QueryDict, which the library knows."""

    def getlist(self, name):
        return self[name]


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what is posted, each with whether its signature holds; answers as the path says."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.queues = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def arrivals(self, path):
        return self.queues.setdefault(path, queue.Queue())

    def take(self, path):
        return self.arrivals(path).get(timeout=ARRIVES_WITHIN_S)


DOCUMENTS = {
    "/twiml": "<Response><Message>Got it &amp; thanks</Message></Response>",
    "/call": '<Response><Gather numDigits="1" method="GET" action="/digits?a=1"><Say>Press one</Say></Gather></Response>',
    "/digits": '<Response><Enqueue waitUrl="/wait">sales</Enqueue></Response>',
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        signed = self.headers["X-Twilio-Signature"]
        valid = RequestValidator(TOKEN).validate(self.server.url + self.path, {}, signed)
        path, _, query = self.path.partition("?")
        self.server.arrivals(path).put({"valid": valid, **dict(urllib.parse.parse_qsl(query, keep_blank_values=True))})
        self.answer(path)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = Form(urllib.parse.parse_qs(body, keep_blank_values=True, strict_parsing=True))
        signed = self.headers["X-Twilio-Signature"]
        valid = RequestValidator(TOKEN).validate(self.server.url + self.path, form, signed)
        path = self.path.partition("?")[0]
        fields = {name: values[0] for name, values in form.items()}
        self.server.arrivals(path).put({"valid": valid, "token": self.headers["I-Twilio-Idempotency-Token"], **fields})
        self.answer(path)

    def answer(self, path):
        answer = DOCUMENTS.get(path, "<Response/>").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def start_carrier(folder, receiver):
    """Gives the process and where it listens."""
    command = [BINARY, "carrier", "--listen", "127.0.0.1:0", "--callback-delay", "0", "--calls-per-second", "0"]
    command += ["--webhook", f"{receiver.url}/sms?a=1&b=c%20d", "--whatsapp-webhook", f"{receiver.url}/whatsapp"]
    env = {
        "PATH": os.environ["PATH"],
        "TWILIO_ACCOUNT_SID": SID,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_FROM_NUMBER": OURS,
    }
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    base = first.split()[-1]
    assert base.startswith("http://127.0.0.1:"), first
    return process, base


class Carrier(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.receiver = Receiver()
        cls.process, cls.base = start_carrier(cls.folder.name, cls.receiver)
        cls.http = Rewritten(tuple(urllib.parse.urlsplit(cls.base)[:2]))
        cls.client = Client(SID, TOKEN, http_client=cls.http)

    @classmethod
    def tearDownClass(cls):
        cls.process.terminate()
        cls.process.wait(timeout=ARRIVES_WITHIN_S)
        cls.process.stdout.close()
        cls.receiver.shutdown()
        cls.receiver.server_close()
        cls.folder.cleanup()

    def control(self, path, body, method="POST"):
        data = json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read() or b"null")

    def refused(self, code, status, call):
        with self.assertRaises(TwilioRestException) as caught:
            call()
        self.assertEqual((caught.exception.code, caught.exception.status), (code, status), caught.exception.msg)

    def arrived(self, path, **expect):
        posted = self.receiver.take(path)
        self.assertTrue(posted["valid"], posted)
        self.assertEqual({name: posted.get(name) for name in expect}, expect)
        return posted

    def test_create_report_and_fetch(self):
        status = f"{self.receiver.url}/status?action=1"
        made = self.client.messages.create(to=CUSTOMER, from_=OURS, body="héllo 👋 & <b>", status_callback=status)
        self.assertRegex(made.sid, "^SM[0-9a-f]{32}$")
        self.assertEqual((made.status, made.direction, made.num_media), ("queued", "outbound-api", "0"))
        self.assertIn("Twilio-Request-Id", self.http.last.headers)
        for told in ["sent", "delivered"]:
            self.arrived("/status", MessageSid=made.sid, MessageStatus=told, From=OURS, To=CUSTOMER, AccountSid=SID)
        found = self.client.messages(made.sid).fetch()
        self.assertEqual((found.body, found.status, found.error_code), ("héllo 👋 & <b>", "delivered", None))
        now = datetime.datetime.now(datetime.timezone.utc)
        self.assertLess(abs(now - found.date_created), datetime.timedelta(minutes=5))
        self.assertIsNotNone(found.date_sent)
        picture = self.client.messages.create(to=CUSTOMER, from_=OURS, media_url=["https://example.com/1.jpg"])
        self.assertEqual((picture.sid[:2], len(self.client.messages(picture.sid).media.list())), ("MM", 1))

    def test_list_filters_and_pages(self):
        other = "+34600999888"
        bodies = [str(number) for number in range(7)]
        for body in bodies:
            self.client.messages.create(to=other, from_=OURS, body=body)
        found = self.client.messages.list(to=other, page_size=3)
        self.assertEqual([message.body for message in found], bodies[::-1])
        self.assertEqual(len(self.client.messages.list(to=other, limit=2)), 2)
        page = self.client.messages.page(to=other, page_size=3)
        second = page.next_page()
        self.assertEqual([message.body for message in second], ["3", "2", "1"])
        last = self.client.messages.get_page(second.next_page_url)
        self.assertEqual([message.body for message in last], ["0"])
        self.assertIsNone(last.next_page())
        self.assertEqual(self.client.messages.list(to=other, from_="+34911222999"), [])
        tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
        self.assertEqual(self.client.messages.list(to=other, date_sent_after=tomorrow), [])
        self.assertEqual(len(self.client.messages.list(to=other, date_sent_before=tomorrow)), 7)

    def test_redact_and_delete(self):
        status = f"{self.receiver.url}/redact"
        made = self.client.messages.create(to=CUSTOMER, from_=OURS, body="secret", status_callback=status)
        self.arrived("/redact", MessageStatus="sent")
        self.arrived("/redact", MessageStatus="delivered")
        self.assertEqual(self.client.messages(made.sid).update(body="").body, "")
        self.assertEqual(self.client.messages(made.sid).fetch().body, "")
        self.refused(30409, 400, lambda: self.client.messages(made.sid).update(status="canceled"))
        self.assertTrue(self.client.messages(made.sid).delete())
        self.refused(20404, 404, lambda: self.client.messages(made.sid).fetch())

    def test_schedule_and_cancel(self):
        later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        scheduled = {"to": CUSTOMER, "body": "later", "schedule_type": "fixed", "send_at": later}
        made = self.client.messages.create(messaging_service_sid=SERVICE, **scheduled)
        self.assertEqual(made.status, "scheduled")
        self.refused(20009, 409, lambda: self.client.messages(made.sid).update(body=""))
        self.assertEqual(self.client.messages(made.sid).update(status="canceled").status, "canceled")
        self.assertEqual(self.client.messages(made.sid).fetch().status, "canceled")
        self.refused(30409, 400, lambda: self.client.messages(made.sid).update(status="canceled"))
        self.refused(35118, 400, lambda: self.client.messages.create(from_=OURS, **scheduled))
        too_soon = {**scheduled, "send_at": later - datetime.timedelta(minutes=50)}
        self.refused(35114, 400, lambda: self.client.messages.create(messaging_service_sid=SERVICE, **too_soon))

    def test_errors(self):
        create = self.client.messages.create
        for code, to, sender, body in [
            (21211, "+15005550001", OURS, "x"),
            (21612, "+15005550002", OURS, "x"),
            (21408, "+15005550003", OURS, "x"),
            (21610, "+15005550004", OURS, "x"),
            (21614, "+15005550009", OURS, "x"),
            (21212, CUSTOMER, "+15005550001", "x"),
            (21606, CUSTOMER, "+15005550007", "x"),
            (21611, CUSTOMER, "+15005550008", "x"),
            (21606, CUSTOMER, "+34911999999", "x"),
            (21602, CUSTOMER, OURS, ""),
            (21617, CUSTOMER, OURS, "x" * 1601),
            (21910, CUSTOMER, f"whatsapp:{OURS}", "x"),
        ]:
            self.refused(code, 400, lambda: create(to=to, from_=sender, body=body))
        self.assertEqual(create(to=CUSTOMER, from_="+15005550006", body="x").status, "queued")
        self.refused(20404, 404, lambda: self.client.messages("SM" + "0" * 32).fetch())
        self.refused(20404, 404, lambda: self.client.calls("CA" + "0" * 32).fetch())
        for code, to, sender, more in [
            (21217, "+15005550001", OURS, {"twiml": "<Response/>"}),
            (21216, "+15005550004", OURS, {"twiml": "<Response/>"}),
            (21212, CUSTOMER, "+15005550001", {"twiml": "<Response/>"}),
            (21210, CUSTOMER, "+34911999999", {"twiml": "<Response/>"}),
            (21205, CUSTOMER, OURS, {}),
            (21205, CUSTOMER, OURS, {"url": "https://example.com/"}),
        ]:
            self.refused(code, 400, lambda: self.client.calls.create(to=to, from_=sender, **more))
        stranger = Client(SID, "wrong", http_client=Rewritten(self.http.base))
        self.refused(20003, 401, lambda: stranger.messages.create(to=CUSTOMER, from_=OURS, body="x"))
        self.refused(20003, 401, lambda: stranger.balance.fetch())

    def test_faults(self):
        create = lambda: self.client.messages.create(to="+34600777666", from_=OURS, body="x")
        for fault, code, status in [
            ("throttle", 20429, 429),
            ("error_500_after_accept", 20500, 500),
            ("unavailable_503", 20503, 503),
            ("unauthorized", 20003, 401),
        ]:
            self.control("/carrier/faults", {"fault": fault, "times": 1})
            self.refused(code, status, create)
        self.assertEqual(len(self.client.messages.list(to="+34600777666")), 1, "that of the 500")
        self.assertEqual(create().status, "queued")

    def test_account_balance_and_numbers(self):
        self.assertEqual(self.client.api.accounts(SID).fetch().status, "active")
        balance = self.client.balance.fetch()
        self.assertEqual((balance.currency, float(balance.balance) > 0), ("USD", True))
        [ours] = self.client.incoming_phone_numbers.list(phone_number=OURS)
        self.assertIn("/sms?", ours.sms_url)
        bought = self.client.incoming_phone_numbers.create(phone_number="+34911222444", friendly_name="second")
        twiml = f"{self.receiver.url}/twiml"
        changed = bought.update(sms_url=twiml, sms_method="POST", voice_url="https://example.com/voice")
        self.assertEqual((changed.sms_url, changed.voice_url), (twiml, "https://example.com/voice"))
        self.assertEqual(self.client.incoming_phone_numbers(bought.sid).fetch().friendly_name, "second")
        pages = [number.phone_number for number in self.client.incoming_phone_numbers.stream(page_size=1)]
        self.assertEqual(sorted(pages), [OURS, "+34911222444"])
        self.refused(21422, 400, lambda: self.client.incoming_phone_numbers.create(phone_number="+15005550000"))
        self.refused(21421, 400, lambda: self.client.incoming_phone_numbers.create(phone_number="+15005550001"))

        # What a webhook answers in TwiML is sent.
        writes = {"from": "+34600555444", "to": "+34911222444", "channel": "sms", "body": "hola"}
        sid = self.control("/carrier/texts", writes)["message"]["sid"]
        self.arrived("/twiml", MessageSid=sid, Body="hola")
        query = urllib.parse.urlencode({"customer": "+34600555444", "wait_ms": ARRIVES_WITHIN_S * 1000})
        seen, after = [], 0
        while not seen or seen[-1]["status"] != "delivered":
            with urllib.request.urlopen(f"{self.base}/carrier/feed?{query}&after={after}") as answer:
                feed = json.load(answer)
            self.assertTrue(feed["messages"], "nothing came in time")
            seen, after = seen + feed["messages"], feed["seq"]
        self.assertEqual((seen[-1]["body"], seen[-1]["direction"]), ("Got it & thanks", "outbound"))
        [reply] = self.client.messages.list(to="+34600555444")
        self.assertEqual((reply.direction, reply.from_), ("outbound-reply", "+34911222444"))
        self.assertTrue(bought.delete())
        self.refused(20404, 404, lambda: self.client.incoming_phone_numbers(bought.sid).fetch())

    def test_calls_are_made_followed_and_ended(self):
        customer, status = "+34600888777", f"{self.receiver.url}/told"
        self.control(f"/carrier/parties/{customer}", {"steps": [{"digits": "1"}]}, "PUT")
        events = ["initiated", "ringing", "answered", "completed"]
        made = self.client.calls.create(
            to=customer,
            from_=OURS,
            url=f"{self.receiver.url}/call",
            status_callback=status,
            status_callback_event=events,
            machine_detection="Enable",
        )
        self.assertRegex(made.sid, "^CA[0-9a-f]{32}$")
        self.assertEqual((made.status, made.direction, made.to), ("queued", "outbound-api", customer))
        for number, told in enumerate(["initiated", "ringing", "in-progress"]):
            self.arrived("/told", CallSid=made.sid, CallStatus=told, SequenceNumber=str(number))
        self.arrived("/call", CallSid=made.sid, CallStatus="in-progress", AnsweredBy="human", From=OURS, To=customer)
        self.arrived("/digits", CallSid=made.sid, Digits="1", a="1")
        self.arrived("/wait", CallSid=made.sid, QueuePosition="1", CurrentQueueSize="1")
        found = self.client.calls(made.sid).fetch()
        self.assertEqual((found.status, found.answered_by, found.duration), ("in-progress", "human", None))
        self.assertEqual([call.sid for call in self.client.calls.list(to=customer, status="in-progress")], [made.sid])
        self.client.calls(made.sid).update(twiml="<Response><Say>Bye</Say></Response>")
        last = self.arrived("/told", CallSid=made.sid, CallStatus="completed", SequenceNumber="3")
        self.assertGreater(int(last["CallDuration"]), 0)
        found = self.client.calls(made.sid).fetch()
        self.assertEqual((found.status, found.duration), ("completed", last["CallDuration"]))
        self.assertLessEqual(found.start_time, found.end_time)
        self.refused(21220, 400, lambda: self.client.calls(made.sid).update(twiml="<Response/>"))
        self.assertTrue(self.client.calls(made.sid).delete())
        self.refused(20404, 404, lambda: self.client.calls(made.sid).fetch())

    def test_calls_are_listed_and_cancelled(self):
        customer = "+34600888666"
        self.control(f"/carrier/parties/{customer}", {"after_ms": 60000}, "PUT")
        create = lambda: self.client.calls.create(to=customer, from_=OURS, twiml="<Response><Say>Hi</Say></Response>")
        sids = [create().sid for _ in range(5)]
        for sid in sids:
            self.client.calls(sid).update(status="canceled")
        found = self.client.calls.list(to=customer, page_size=2)
        self.assertEqual([call.sid for call in found], sids[::-1])
        page = self.client.calls.page(to=customer, page_size=3)
        self.assertEqual([call.sid for call in page.next_page()], sids[1::-1])
        now = datetime.datetime.now(datetime.timezone.utc)
        hour = datetime.timedelta(hours=1)
        self.assertEqual(self.client.calls.list(to=customer, start_time_after=now + hour), [])
        started = self.client.calls.list(to=customer, start_time_after=now - hour, start_time_before=now + hour)
        self.assertTrue(all(call.start_time for call in started), started)
        deadline = now + datetime.timedelta(seconds=ARRIVES_WITHIN_S)
        while len(self.client.calls.list(to=customer, status="canceled")) < 5:
            self.assertLess(datetime.datetime.now(datetime.timezone.utc), deadline, "not all were cancelled in time")

    def test_numbers_are_searched_bought_and_called(self):
        available = self.client.available_phone_numbers("US").local.list(area_code=212, contains="555", limit=2)
        self.assertEqual([number.phone_number for number in available], ["+12125550000", "+12125550007"])
        self.assertTrue(available[0].capabilities["voice"], available[0].capabilities)
        self.assertEqual(len(self.client.available_phone_numbers("ES").mobile.list(limit=3)), 3)
        self.assertEqual(self.client.available_phone_numbers("US").local.list(area_code=533), [])
        with self.assertRaisesRegex(TwilioException, "20404"):
            self.client.available_phone_numbers("XX").local.list()
        bought = self.client.incoming_phone_numbers.create(
            phone_number=available[0].phone_number,
            voice_url=f"{self.receiver.url}/in",
            voice_method="GET",
            status_callback=f"{self.receiver.url}/over",
        )
        self.assertEqual((bought.voice_method, bought.voice_url), ("GET", f"{self.receiver.url}/in"))
        sid = self.control("/carrier/calls", {"from": CUSTOMER, "to": bought.phone_number})["sid"]
        self.arrived("/in", CallSid=sid, CallStatus="ringing", Direction="inbound", From=CUSTOMER, To=bought.phone_number)
        self.arrived("/over", CallSid=sid, CallStatus="completed")
        self.assertTrue(bought.delete())
        self.refused(21452, 400, lambda: self.client.incoming_phone_numbers.create(area_code="533"))

    def test_signed_webhooks_and_opt_out(self):
        customer = "+34600333222"
        writes = lambda body: self.control(
            "/carrier/texts", {"from": customer, "to": OURS, "channel": "sms", "body": body}
        )["message"]
        taken = writes("¿Qué tal? 👋 & + %")
        posted = self.arrived("/sms", MessageSid=taken["sid"], Body="¿Qué tal? 👋 & + %", From=customer, To=OURS)
        self.assertEqual((posted["SmsStatus"], posted["NumMedia"], posted["AccountSid"]), ("received", "0", SID))
        self.assertRegex(posted["token"], "^[0-9a-f-]{36}$")
        self.assertEqual(self.client.messages(taken["sid"]).fetch().direction, "inbound")
        create = lambda: self.client.messages.create(to=customer, from_=OURS, body="x")
        writes("STOP")
        self.arrived("/sms", Body="STOP")
        self.refused(21610, 400, create)
        replies = [message.body for message in self.client.messages.list(to=customer)]
        self.assertTrue(len(replies) == 1 and "unsubscribed" in replies[0], replies)
        writes("START")
        self.arrived("/sms", Body="START")
        self.assertEqual(create().status, "queued")

    def test_whatsapp_window_templates_and_reading(self):
        customer, status = "+34600222333", f"{self.receiver.url}/chat"
        both = {"to": f"whatsapp:{customer}", "from_": f"whatsapp:{OURS}", "status_callback": status}
        closed = self.client.messages.create(body="free form", **both)
        self.arrived("/chat", MessageSid=closed.sid, MessageStatus="undelivered", ErrorCode="63016")
        found = self.client.messages(closed.sid).fetch()
        self.assertEqual((found.status, found.error_code), ("undelivered", 63016))

        content = self.client.content.v1.contents
        quick_reply = {
            "body": "Hola {{1}}, ¿vienes {{2}}?",
            "actions": [{"type": "QUICK_REPLY", "title": "Sí", "id": "yes"}],
        }
        given = {"friendly_name": "reminder", "language": "es", "variables": {"1": "alguien"}}
        given["types"] = {"twilio/quick-reply": quick_reply}
        template = content.create(ContentList.ContentCreateRequest(given))
        approval = content(template.sid).approval_create.create(
            ApprovalCreateList.ContentApprovalRequest({"name": "reminder", "category": "UTILITY"})
        )
        self.assertEqual(approval.status, "approved")
        self.assertEqual(content(template.sid).approval_fetch().fetch().whatsapp["status"], "approved")
        self.assertEqual([one.sid for one in content.list()], [template.sid])
        made = self.client.messages.create(
            content_sid=template.sid, content_variables=json.dumps({"1": "Ana", "2": "hoy"}), **both
        )
        self.assertEqual(made.body, "Hola Ana, ¿vienes hoy?")
        for told in ["sent", "delivered"]:
            self.arrived("/chat", MessageSid=made.sid, MessageStatus=told)
        self.control(f"/carrier/messages/{made.sid}/read", {})
        self.arrived("/chat", MessageSid=made.sid, MessageStatus="read", EventType="READ")
        self.refused(21655, 400, lambda: self.client.messages.create(content_sid="HX" + "0" * 32, **both))

        button = {"text": "Sí", "payload": "yes"}
        writes = {"from": customer, "to": OURS, "channel": "whatsapp", "button": button, "profile_name": "Ana"}
        self.control("/carrier/texts", {**writes, "reply_to": made.sid})
        self.arrived(
            "/whatsapp",
            From=f"whatsapp:{customer}",
            WaId=customer[1:],
            ProfileName="Ana",
            ButtonText="Sí",
            ButtonPayload="yes",
            OriginalRepliedMessageSid=made.sid,
        )
        opened = self.client.messages.create(body="free form", **both)
        self.arrived("/chat", MessageSid=opened.sid, MessageStatus="sent")
        self.arrived("/chat", MessageSid=opened.sid, MessageStatus="delivered")
        self.assertTrue(content(template.sid).delete())
        self.refused(20404, 404, lambda: content(template.sid).fetch())


assert pathlib.Path(BINARY).exists(), f"{BINARY} is missing"
unittest.main(argv=[sys.argv[0]])
