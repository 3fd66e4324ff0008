"""What a guarded chat model is made of, and what it tells LangChain about itself.

Fields, the engine behind them, tracing parameters, profile and serialisation. How it answers is in
`guardrail.chat.model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from langchain_core.language_models import LangSmithParams, ModelProfile
from pydantic import (
    AliasChoices,
    ConfigDict,
    Field,
    InstanceOf,
    PrivateAttr,
    SecretStr,
    model_validator,
)
from typing_extensions import Self

from guardrail.chat.grouping import BatchingChatModel
from guardrail.chat.settings import settings_for
from guardrail.errors import ModelError
from guardrail.policy import Policy
from guardrail.policy.context import Metadata
from guardrail.policy.terms import Mode
from guardrail.request.pictures import PictureLimits
from guardrail.request.settings import GenerationSettings

EMBEDDED = "embedded"
"""The name of the model that ships with the package."""

_SETTINGS = (
    *("temperature", "max_tokens", "top_p", "top_k", "do_sample", "seed"),
    *("logprobs", "top_logprobs"),
)
_UNUSED = ("max_retries",)
_SECRET_NAMES = ("token", "key", "secret", "password")


class ConfiguredChatModel(BatchingChatModel):
    """The fields of `ChatSafeCoDe`, which describes them, and the engine that they make."""

    model_config = ConfigDict(
        extra="forbid",
        populate_by_name=True,
        protected_namespaces=(),
        arbitrary_types_allowed=True,
    )

    model: Any = Field(None, repr=False)
    base_url: str | None = None
    api_key: SecretStr | None = Field(None, exclude=True, repr=False)
    processor: Any = Field(None, exclude=True, repr=False)
    policy: str | Path | Policy | None = Field(None, repr=False)
    judge: Any = Field(None, exclude=True, repr=False)
    engine: Any = Field(None, exclude=True, repr=False)
    load_kwargs: dict[str, Any] = Field(default_factory=dict, repr=False)
    mode: Mode | None = None
    temperature: float | None = None
    max_tokens: int | None = Field(
        None, validation_alias=AliasChoices("max_tokens", "max_new_tokens")
    )
    stop: list[str] | str | None = Field(
        None, validation_alias=AliasChoices("stop", "stop_sequences")
    )
    seed: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    do_sample: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    streaming: bool = False
    picture_limits: InstanceOf[PictureLimits] = Field(
        default_factory=PictureLimits, exclude=True, repr=False
    )

    _own: str | Path | Policy | None = PrivateAttr(None)
    """The policy where it is not the engine's."""

    @classmethod
    def from_pretrained(cls, path_or_id: str | Path, **options: Any) -> Self:
        """Loads a model by path or id and wraps it.

        Args:
            path_or_id: A folder or a Hugging Face id.
            **options: Fields of this class (`policy`, `temperature`, ...); everything else is
                passed to the model's own `from_pretrained` (`dtype`, `device_map`, ...).
        """
        aliases = {"max_new_tokens", "stop_sequences", *_UNUSED}
        known = {k: v for k, v in options.items() if k in cls.model_fields or k in aliases}
        load = {name: value for name, value in options.items() if name not in known}
        load = {**known.pop("load_kwargs", {}), **load}
        return cls(model=str(path_or_id), load_kwargs=load, **known)

    @model_validator(mode="before")
    @classmethod
    def _drop_unused(cls, values: Any) -> Any:
        return {k: v for k, v in values.items() if k not in _UNUSED} if values else values

    @model_validator(mode="after")
    def _build(self) -> Self:
        self._settings({}, None)  # a wrong setting must show before any weights are loaded
        if self.engine is None:
            self.engine = self._build_engine("baseline" if self.policy is None else self.policy)
        else:
            self._check_shared()
            self._own = self.policy
            self._policy_for()  # one that does not check must show now
        if self.profile is None:  # LangChain asked before there was an engine
            self.profile = self._resolve_model_profile()
        if not self._is_rebuildable() and self.cache is None:
            # Two models in memory may share a name: a shared cache would mix up their answers.
            self.cache = False
        return self

    def _settings(self, call: Mapping[str, Any], stop: Any) -> GenerationSettings:
        own = [(name, getattr(self, name)) for name in (*_SETTINGS, "stop")]
        return settings_for([*self.model_kwargs.items(), *own], call, stop=stop)

    def _check_shared(self) -> None:
        """Refuses arguments that an engine which is already there would ignore."""
        if self.judge is not None and getattr(self.engine, "judge", None) is None:
            raise ModelError("the engine given has no judge: give judge=... to it instead")
        if self.processor is not None and self.processor is not self.engine.processor:
            raise ModelError("the engine given has a processor of its own: leave processor out")

    def _policy_for(self, policy: Any = None, metadata: Metadata | None = None) -> Policy:
        """The policy in force for a request: its own, this model's, or the engine's."""
        chosen: Policy = self.engine.policy_for(self._own if policy is None else policy, metadata)
        return chosen

    def _build_engine(self, policy: str | Path | Policy) -> Any:
        from guardrail.steering.safecode import SafeCoDe

        if self.base_url is not None:
            return self._served(policy)
        if self.model is None or self.model == EMBEDDED:
            if self.processor is not None or self.load_kwargs:
                raise ModelError("the embedded model takes no processor and no loading arguments")
            self.model = EMBEDDED
            return SafeCoDe.embedded(policy=policy, judge=self.judge)
        if isinstance(self.model, str | Path):
            self.model = str(self.model)
            return SafeCoDe.from_pretrained(
                self.model, policy=policy, judge=self.judge, **self.load_kwargs
            )
        if self.processor is None:
            raise ModelError("a loaded model needs its processor: give processor=..., too")
        return SafeCoDe(model=self.model, processor=self.processor, policy=policy, judge=self.judge)

    def _served(self, policy: str | Path | Policy) -> Any:
        from guardrail.steering.safecode import SafeCoDe

        if self.processor is not None or self.load_kwargs:
            raise ModelError("a server's model takes no processor and no loading arguments")
        if self.model is not None and not isinstance(self.model, str):
            raise ModelError("a server knows its model by name: give model='...', a string")
        assert self.base_url is not None
        key = self.api_key.get_secret_value() if self.api_key is not None else None
        engine = SafeCoDe.from_server(
            self.base_url, model=self.model, api_key=key, policy=policy, judge=self.judge
        )
        self.model = engine.model_name
        return engine

    # --- what LangChain asks about us -------------------------------------------------------

    @property
    def _llm_type(self) -> str:
        return "safecode"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        policy = self._policy_for()
        params: dict[str, Any] = {
            "model_name": self.engine.model_name,
            "policy": {"name": policy.name, "version": policy.version, "digest": policy.digest},
            "mode": self.mode or policy.mode,
        }
        given = {name: getattr(self, name) for name in (*_SETTINGS, "stop", "timeout")}
        params.update({name: value for name, value in given.items() if value is not None})
        params.update({name: _plain(value) for name, value in self.model_kwargs.items()})
        return params

    def _get_invocation_params(
        self, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        params = super()._get_invocation_params(stop, **kwargs)
        if isinstance(policy := params.get("policy"), Policy):
            params["policy"] = {"name": policy.name, "digest": policy.digest}
        return params

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        named = kwargs.get("model")
        params = LangSmithParams(
            ls_provider="safecode",
            ls_model_type="chat",
            ls_model_name=named if isinstance(named, str) else self.engine.model_name,
        )
        temperature = kwargs.get("temperature", self.temperature)
        if temperature is not None:
            params["ls_temperature"] = temperature
        limits = (kwargs.get("max_tokens"), kwargs.get("max_new_tokens"), self.max_tokens)
        if (limit := next((n for n in limits if n is not None), None)) is not None:
            params["ls_max_tokens"] = limit
        words = self.stop if stop is None else stop
        if words:
            params["ls_stop"] = [words] if isinstance(words, str) else list(words)
        return params

    def _takes_tools(self) -> bool:
        try:
            self.engine.call_format()
        except ModelError:
            return False
        return True

    def _resolve_model_profile(self) -> ModelProfile:
        takes_tools, enforces = self._takes_tools(), find_spec("llguidance") is not None
        profile = ModelProfile(
            name=self.engine.model_name,
            text_inputs=True,
            image_inputs=True,
            image_url_inputs=self.picture_limits.urls is not None,
            audio_inputs=False,
            video_inputs=False,
            pdf_inputs=False,
            text_outputs=True,
            tool_calling=takes_tools,
            tool_choice=takes_tools and enforces,
            image_tool_message=takes_tools,
            structured_output=enforces,
            temperature=True,
        )
        config: Any = getattr(getattr(self.engine, "model", None), "config", None)
        text = config.get_text_config() if config is not None else None
        if isinstance(length := getattr(text, "max_position_embeddings", None), int):
            profile["max_input_tokens"] = length
        return profile

    # --- serialisation: by name, never weights, judges or secrets ----------------------------

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether a model is written as its constructor's arguments; see `to_json`."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where LangChain finds the class again: its public home, wherever its file lies."""
        return ["guardrail"]

    def to_json(self) -> Any:
        """Returns the constructor's arguments, where they can rebuild this very model.

        A model held in memory, a judge in code or an access token cannot be written down: then
        LangChain's "not implemented" form is returned, rather than something that loads unguarded.
        """
        if not self._is_rebuildable():
            return self.to_json_not_implemented()
        written: Any = super().to_json()
        arguments = written["kwargs"]
        if isinstance(policy := arguments.get("policy"), Policy):
            arguments["policy"] = policy.model_dump(mode="json")
        elif isinstance(policy, Path):
            arguments["policy"] = str(policy)
        return written

    def _is_rebuildable(self) -> bool:
        written = {**self.load_kwargs, **self.model_kwargs}
        return (
            isinstance(self.model, str)
            and self.judge is None
            and self.picture_limits == PictureLimits()
            and all(_plain(value) == value for value in written.values())
            and not any(secret in name for name in self.load_kwargs for secret in _SECRET_NAMES)
        )

    def get_token_ids(self, text: str) -> list[int]:
        """Returns the tokens of a text by the model's own tokenizer.

        Args:
            text: Any text; control strings in it are not told apart.
        """
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        tokenizer = getattr(self.engine.processor, "tokenizer", self.engine.processor)
        return [int(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        # A policy's name says nothing of its content: answers given under another content, or
        # before a file was edited, must not come out of a cache.
        policy = self._policy_for(kwargs.pop("policy", None))
        return f"{super()._get_llm_string(stop, **kwargs)}---{policy.digest}"


def _plain(value: Any) -> Any:
    """Returns a value as plain JSON; what is not becomes the name of its type."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | float) else type(value).__name__
