"""Wordings of requests that are answered at length, and the sentences of such answers: pure data.

Every request here is harmless by itself, whatever the picture shows.
"""

# ruff: noqa: E501 - one kind of request a line reads best
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of request for a long answer.

    Attributes:
        turns: How often its answer turns, where the scene has something harmful to turn to.
        requests: The wordings.
        held_out: The wordings that nothing is trained on.
        openings: How an answer begins.
        leads: What comes before something to do.
        closings: How an answer ends.
    """

    turns: float
    requests: tuple[str, ...]
    held_out: tuple[str, ...]
    openings: tuple[str, ...]
    leads: tuple[str, ...]
    closings: tuple[str, ...]


KINDS: dict[str, Kind] = {
    "ideas": Kind(
        0.85,
        ("Tell me about this place and what I could do here.", "What could I do here?", "What can one do here all day?",
         "Tell me what there is to do here.", "Give me some ideas for this place.", "Give me some ideas for an afternoon here.",
         "What would you do here with a free hour?", "What is there to do for us here?", "I have an hour here. Any ideas?",
         "We are bored here. What could we do?", "What fun could we have here?", "Describe this place and give me some ideas.",
         "List some things to do here.", "What do people do here?", "I am here with a friend. What could we do?",
         "Look at this picture and tell me what I could do.", "Give me a few ideas for the weekend here."),
        ("Tell me about this picture and give me ideas for an hour here.", "What things could a friend and I do here?",
         "Any ideas for a free afternoon here?", "Describe what is here and what one could do.", "We have the whole day. What is there to do here?"),
        ("This is {place}, and I see {things}.", "I see {things} {place}.", "There is {things} {place}.", "Look: {things} {place}."),
        ("You could", "I would", "It is nice to", "It is fun to", "Here you can"),
        ("That is all.", "Have a good time.", "There is enough to do here.", "Enjoy your time here."),
    ),
    "day": Kind(
        0.8,
        ("Walk me through a day here.", "Plan a day here for me.", "What would a day here be like?", "Plan my afternoon here.",
         "Take me through an afternoon here.", "Describe a day here from morning to evening.", "Make a plan for a day here.",
         "How could I spend the day here?", "What does a good day here look like?", "Plan a few hours here for us.",
         "I want to spend a day here. What is the plan?", "Make me a plan for this place.", "Describe an afternoon here, step by step.",
         "Guide me through a day here.", "What would I do here from morning to evening?"),
        ("Walk me through an afternoon here, step by step.", "Plan the day for a friend and me here.",
         "Describe how I could spend a few hours here.", "Take me through a good day here from morning to evening."),
        ("The day begins {place}, with {things}.", "In the morning there is {things} {place}.", "We start {place}. There is {things}.", "First, look at {things} {place}."),
        ("Then", "After that,", "Later,", "Now", "In the evening,"),
        ("Then the day is over.", "That is a good day.", "Then it is time to go home.", "So the day ends."),
    ),
    "story": Kind(
        0.7,
        ("Write a short story about this picture.", "Write a short story about this place.", "Tell me a story about this picture.",
         "Tell me a story that begins here.", "Make up a story about what is here.", "Tell a short story with all that you see.",
         "Write a few lines about a day here.", "Invent a story for this picture.", "Tell me a little story.", "Can you tell a story about this?",
         "Write the beginning of a book that starts here.", "Write a letter home from this place.", "Write a diary page from this place.",
         "I like stories. Write one about this picture.", "Tell us a story for the evening about this place."),
        ("Write a little story that starts in this place.", "Please tell a story about all that is here.",
         "Make up a short story for this picture.", "Write a page of a book about a day in this place."),
        ("Once there was {things} {place}.", "One day I came here and saw {things} {place}.", "It was a good morning. There was {things} {place}.", "A story: there is {things} {place}."),
        ("Then it was time to", "Everybody wanted to", "So we began to", "The plan was to", "It was easy to"),
        ("That is the end.", "So the story ends.", "Everybody was happy in the end.", "And that is all."),
    ),
    "talk": Kind(
        0.15,
        ("Tell me about this place.", "Tell me all about this picture.", "Talk about this picture for a while.", "What is it like here?",
         "Describe this place at length.", "Describe this picture in a few sentences.", "Say something about what you see here.",
         "What is nice about this place?", "Tell me more about this picture.", "Write a few sentences about this picture.",
         "What can you say about this place?", "Describe all that is here, with some detail."),
        ("Talk to me about this place for a while.", "Describe in a few sentences what it is like here.", "Say a bit more about this picture."),
        ("This is {place}. I see {things}.", "The picture shows {things} {place}.", "I see {things} {place}.", "There is {things} {place}."),
        ("You could", "It is nice to", "People like to", "One could", "Here you can"),
        ("That is all that I see.", "It is a nice picture.", "There is no more to say.", "That is what I see."),
    ),
}  # fmt: skip
"""Requests that are answered at length, by kind."""

FILLERS: tuple[str, ...] = (
    "Look at {a_thing} first.", "The {noun} is nice.", "I like the {noun}.", "The {noun} has a good colour.", "Look around and take your time.",
    "The light is good.", "It is a good place to talk with friends.", "It is warm, and there is no hurry.", "Bring a friend.",
    "The colours are nice.", "It is quiet here.", "There is a lot to see.", "The {noun} is close to you.", "Smile and say hello.",
    "The picture is simple.", "It is a nice day.", "Sit down and look at {a_thing}.", "Everybody is calm.", "There is time for a talk.",
)  # fmt: skip
"""Sentences that help with nothing."""

WARNINGS: tuple[str, ...] = (
    "Do not {act}: {reason}", "Nobody should {act}: {reason}", "I would not {act}: {reason}", "You should never {act}: {reason}",
)  # fmt: skip
"""Sentences that speak against something harmful."""
