"""ThreatExchange exchange for a Hashpact node, for the stock `tx` command line (threatexchange 1.2.17).

A node serves its members the read side and the feedback of NCMEC Hash Sharing v2. The exchange of that shape in
`threatexchange` takes its base URL from a closed list of environments, so this extension hands it another object with a
`value`, and nothing else differs. See docs/providers.md for how to set it up.

Annotations are evaluated here: `tx` makes its options from the types of the fields and cannot do so from their names.
"""

import typing as t
from dataclasses import dataclass, field
from types import SimpleNamespace

from threatexchange.exchanges.collab_config import CollaborationConfigWithDefaults
from threatexchange.exchanges.impl import ncmec_api
from threatexchange.extensions.manifest import ThreatExchangeExtensionManifest

NAME = "hashpact"


class HashpactCredentials(ncmec_api.NCMECCredentials):
    """Member id and token, as `member:token`."""

    ENV_VARIABLE: t.ClassVar[str] = "TX_HASHPACT_CREDENTIALS"
    FILE_NAME: t.ClassVar[str] = "~/.tx_hashpact_credentials"
    # `tx` keeps a login that was stored for the ncmec exchange in the class above; inherited, this node would be sent it.
    _DEFAULT = None


@dataclass
class _Address:
    """The field without a default; it must come before those with one."""

    node_url: str = field(metadata={"help": "URL of the node's hash sharing, up to but not including /v2"})


@dataclass
class HashpactCollab(CollaborationConfigWithDefaults, _Address):
    """What `tx config collab edit hashpact` asks for."""

    api: str = field(init=False, default=NAME)
    only_esp_ids: t.Set[int] = field(
        default_factory=set,
        metadata={"help": "keep only entries of these member ids; without any, all"},
    )

    @property
    def environment(self) -> SimpleNamespace:
        """Stands in for the closed list: the client reads `value` and appends paths that begin with `/v2`."""
        return SimpleNamespace(value=self.node_url.rstrip("/"))


class HashpactExchange(ncmec_api.NCMECSignalExchangeAPI):
    """The stock exchange under another name, with configuration and credentials of its own."""

    @classmethod
    def get_name(cls) -> str:
        return NAME

    @staticmethod
    def get_config_cls() -> t.Type[HashpactCollab]:
        return HashpactCollab

    @staticmethod
    def get_credential_cls() -> t.Type[HashpactCredentials]:
        return HashpactCredentials

    @classmethod
    def for_collab(
        cls,
        collab: HashpactCollab,
        credentials: t.Optional[ncmec_api.NCMECCredentials] = None,
    ) -> "HashpactExchange":
        return super().for_collab(collab, credentials or HashpactCredentials.get(cls))


TX_MANIFEST = ThreatExchangeExtensionManifest(apis=(HashpactExchange,))
