"""Changing and copying a chat model that is there: what can be honoured is, the rest raises.

A model in memory is never copied: copies share its engine. Another process gets a model that is
built by name again, where its name says all that there is to it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, PrivateAttr, TypeAdapter, ValidationError, model_validator
from typing_extensions import Self

from guardrail.chat.identity import ConfiguredChatModel
from guardrail.errors import ModelError, SettingsError
from guardrail.policy import Policy
from guardrail.request.pictures import PictureLimits

_BUILT_OF = frozenset({"model", "processor", "judge", "engine", "load_kwargs"})
_DECODING = frozenset({"temperature", "max_tokens", "stop", "seed", "top_p", "top_k", "do_sample"})
_TELLING = frozenset({"logprobs", "top_logprobs"})
_CHECKED = _DECODING | _TELLING | {"mode", "model_kwargs", "streaming", "max_batch_size", "timeout"}
_PLAIN = ("load_kwargs", "model_kwargs", "stop", "tags", "metadata", "profile")
_NOT_WRITTEN = frozenset({"processor", "judge", "engine", "picture_limits", "profile"})


class CopyingChatModel(ConfiguredChatModel):
    """A chat model that may be changed, copied and pickled as far as it means something."""

    _made: bool = PrivateAttr(False)

    @model_validator(mode="after")
    def _finish(self) -> Self:
        self._made = True
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        """Changes the model from its next request on.

        Raises:
            SettingsError: The model was built of this, or the value is not usable.
            PolicyError: The policy is not usable.
        """
        if name.startswith("_") or not self._made:
            super().__setattr__(name, value)
        elif name in _BUILT_OF:
            if value is not getattr(self, name):
                raise SettingsError(
                    f"{name} of a chat model that is there cannot be changed: build another "
                    "ChatSafeCoDe"
                )
        elif name == "policy":
            self._change_policy(value)
        elif name in _CHECKED:
            self._change_setting(name, value)
        elif name == "picture_limits" and not isinstance(value, PictureLimits):
            raise SettingsError(f"picture_limits is {value!r}, expected PictureLimits")
        else:
            super().__setattr__(name, value)
            if name == "picture_limits":
                super().__setattr__("profile", self._resolve_model_profile())

    def _change_policy(self, policy: Any) -> None:
        if policy is self.policy:
            return
        if not isinstance(policy, str | Path | Policy):
            raise SettingsError(
                f"policy is {policy!r}, expected a policy's name, its path, or a Policy"
            )
        before, self._own = self._own, policy
        try:
            self._policy_for()
        except BaseException:
            self._own = before
            raise
        super().__setattr__("policy", policy)

    def _change_setting(self, name: str, value: Any) -> None:
        before = getattr(self, name)
        super().__setattr__(name, _checked(type(self), name, value))
        try:
            self._settings({}, None)
        except BaseException:
            super().__setattr__(name, before)
            raise

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Returns a copy, changed as by assignment; it shares the engine.

        Args:
            update: Fields and their new values.
            deep: Whether what the copy is told of is its own; the engine never is.

        Raises:
            SettingsError: The model was built of one of these, has no such field, or a value is not
                usable.
            PolicyError: The policy is not usable.
        """
        copied = copy.deepcopy(self) if deep else super().model_copy()
        for name, value in (update or {}).items():
            if name not in type(self).model_fields:
                raise SettingsError(f"unknown field {name!r} of a chat model")
            setattr(copied, name, value)
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Returns a copy that shares the engine, callbacks and caches, and nothing else."""
        copied = super().model_copy()
        for name in _PLAIN:
            # What cannot be copied (an object among generate()'s arguments) is shared as well.
            copied.__dict__[name] = _own_containers(getattr(self, name))
        copied._identity = object()
        return copied

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """What another process makes it of again: its constructor's arguments.

        Raises:
            ModelError: They do not say all that there is to it.
        """
        if not self._is_rebuildable():
            raise ModelError(
                "a ChatSafeCoDe around a model in memory, a judge in code, an access token or "
                "picture limits cannot be pickled: give the model by name or path alone"
            )
        given = {
            name: value
            for name, value in self.__dict__.items()
            if name in type(self).model_fields and name not in _NOT_WRITTEN and value is not None
        }
        return _rebuilt, (type(self), given)


def _rebuilt(kind: type[CopyingChatModel], arguments: dict[str, Any]) -> CopyingChatModel:
    return kind(**arguments)


def _checked(kind: type[CopyingChatModel], name: str, value: Any) -> Any:
    field = kind.model_fields[name]
    annotation: Any = field.annotation
    for each in field.metadata:
        annotation = Annotated[annotation, each]
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation, config=ConfigDict(strict=False))
        return adapter.validate_python(value)
    except ValidationError as error:
        wrong = error.errors()[0]["msg"]
        raise SettingsError(f"{name} is {value!r}: {wrong[:1].lower()}{wrong[1:]}") from error


def _own_containers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _own_containers(each) for name, each in value.items()}
    return [_own_containers(each) for each in value] if isinstance(value, list) else value
