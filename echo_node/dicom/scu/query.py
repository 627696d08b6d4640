"""Queries to an archive: C-FIND (PS3.4 Annex C, Study Root, as user) or QIDO-RS (PS3.18 10.6).

Both use the same identifier, a data set. Attributes with a value must match; empty ones are
requested. Answers are decoded completely here, so that no later code meets a malformed element.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Protocol, TypeAlias
from urllib.parse import quote, urlencode

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom.association import Association

from echo_node.dicom.characters.header_texts import decode_texts
from echo_node.dicom.contexts import contexts
from echo_node.dicom.header_values import PARSE_ERRORS, text
from echo_node.dicom.scu.associate import associated, name_of
from echo_node.dicom.statuses import Verdict, classify, describe
from echo_node.domain.identifiers import checked_uid
from echo_node.errors import PermanentError, TransientError
from echo_node.http_exchange import exchange, may_pass
from echo_node.settings import Peer

STUDY, SERIES, IMAGE = "STUDY", "SERIES", "IMAGE"

MOST_ANSWERS = 500
"""Maximum number of answers to a query; an archive with more has misunderstood it."""

_PENDING = {0xFF00, 0xFF01}  # PS3.4 C.4.1.1.4


class Deadline:
    """Time limit of a conversation, in seconds."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def left(self) -> float:
        """Return the remaining seconds.

        Raises:
            TransientError: the time is over.
        """
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TransientError("the archive took longer than priors.time_limit_s")
        return left


Ask: TypeAlias = Callable[[Dataset], Sequence[Dataset]]
"""Sends a query and returns the matches; raises as documented in QueryableArchive.opened."""


class QueryableArchive(Protocol):
    """An archive that can be queried."""

    def opened(self, deadline: Deadline) -> AbstractContextManager[Ask]:
        """Open a conversation.

        Raises:
            TransientError: no connection, no answer in time, or an unreadable one; also for
                queries.
            PermanentError: the archive takes no queries, or none from us; also for queries.
        """
        ...


def identifier(level: str, **keys: str) -> Dataset:
    """Return the identifier of a query (PS3.4 C.4.1.1.3); empty keys are requested."""
    question = Dataset()
    question.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(question, keyword, value)
    if not all(value.isascii() for value in keys.values()):
        question.SpecificCharacterSet = "ISO_IR 192"
    return question


def probe(archive: QueryableArchive, timeout_s: float) -> None:
    """Query a study that does not exist, to check whether the archive answers.

    Raises:
        TransientError: it does not answer.
        PermanentError: it refuses the query.
    """
    with archive.opened(Deadline(timeout_s)) as ask:
        ask(identifier(STUDY, StudyInstanceUID=generate_uid(prefix=None)))


class FindArchive:
    """Archive that is queried by C-FIND, all queries on one association.

    Args:
        peer: the archive.
        calling_ae_title: our AE title.
    """

    def __init__(self, peer: Peer, calling_ae_title: str) -> None:
        self._peer = peer
        self._calling_ae_title = calling_ae_title

    @contextmanager
    def opened(self, deadline: Deadline) -> Iterator[Ask]:
        """Open a conversation; see QueryableArchive."""
        proposed = [contexts().query_proposal()]
        with associated(self._peer, self._calling_ae_title, proposed, deadline.left()) as association:
            yield partial(self._ask, association, deadline)

    def _ask(self, association: Association, deadline: Deadline, question: Dataset) -> list[Dataset]:
        answers: list[Dataset] = []
        who = name_of(self._peer)
        association.dimse_timeout = deadline.left()
        try:
            for response, answer in association.send_c_find(question, contexts().query.uid):
                if "Status" not in response:
                    raise TransientError(f"{who} did not answer C-FIND, or ended the association")
                if response.Status not in _PENDING:
                    self._check(int(response.Status))
                    break
                if answer is None:
                    raise TransientError(f"{who} sent an unreadable answer to C-FIND")
                answers.append(_read(answer, self._peer.character_set))
                _check_count(answers, who)
                association.dimse_timeout = deadline.left()
        except (*PARSE_ERRORS, RuntimeError) as error:
            raise TransientError(f"{who}: C-FIND failed ({type(error).__name__})") from error
        return answers

    def _check(self, status: int) -> None:
        verdict = classify(status)
        if verdict is Verdict.REFUSED:
            raise PermanentError(f"{name_of(self._peer)} refuses C-FIND: {describe(status)}")
        if verdict is not Verdict.STORED:
            raise TransientError(f"{name_of(self._peer)} cannot answer C-FIND now: {describe(status)}")


class QidoArchive:
    """Archive that is queried by QIDO-RS.

    Args:
        url: URL of the DICOMweb service.
        token: bearer token, or empty.
        name: name of the archive, for messages.
    """

    def __init__(self, url: str, token: str, name: str) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._name = name

    @contextmanager
    def opened(self, deadline: Deadline) -> Iterator[Ask]:
        """Open a conversation, which needs no connection; see QueryableArchive."""
        yield partial(self._ask, deadline)

    def _ask(self, deadline: Deadline, question: Dataset) -> list[Dataset]:
        headers = {"Accept": "application/dicom+json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        left = deadline.left()
        answer = exchange(
            "GET", self._url + _target(question), headers, who=self._name, timeout_s=left, within_s=left
        )
        if answer.status == 204 or (answer.status == 200 and not answer.body.strip()):
            return []
        if answer.status != 200:
            message = f"{self._name} answers QIDO-RS with HTTP {answer.status}"
            if may_pass(answer.status):
                raise TransientError(message)
            raise PermanentError(f"{message}: check priors.qido_url and priors.qido_token")
        try:
            answers = [_read(Dataset.from_json(each)) for each in json.loads(answer.body)]
        except PARSE_ERRORS:
            raise TransientError(f"{self._name} sent an unreadable answer to QIDO-RS") from None
        _check_count(answers, self._name)
        return answers


def _target(question: Dataset) -> str:
    """Return path and query of an identifier (PS3.18 10.6.1)."""
    level = text(question, "QueryRetrieveLevel")
    above = {SERIES: ["StudyInstanceUID"], IMAGE: ["StudyInstanceUID", "SeriesInstanceUID"]}.get(level, [])
    path = "".join(
        f"/{resource}/{checked_uid(text(question, keyword), keyword, strict=False)}"
        for resource, keyword in zip(("studies", "series"), above, strict=False)
    )
    path += {STUDY: "/studies", SERIES: "/series", IMAGE: "/instances"}[level]
    parameters = []
    for element in question:
        if element.keyword in {"QueryRetrieveLevel", "SpecificCharacterSet", *above}:
            continue
        if value := text(question, element.keyword):
            parameters.append((element.keyword, value))
        else:
            parameters.append(("includefield", f"{int(element.tag):08X}"))
    return f"{path}?{urlencode(parameters, quote_via=quote, safe='/:@')}"


def _read(answer: Dataset, character_set: Sequence[str] = ()) -> Dataset:
    """Decode every element of an answer, in its character set or the archive's, and return it."""
    decode_texts(answer, character_set)
    for _ in answer.iterall():
        pass
    return answer


def _check_count(answers: Sequence[Dataset], who: str) -> None:
    if len(answers) > MOST_ANSWERS:
        raise TransientError(f"{who} has more than {MOST_ANSWERS} answers to a question about one patient")
