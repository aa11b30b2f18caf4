"""The names of columns and message keys in public datasets, by what they mean."""

from __future__ import annotations

TURNS = tuple(
    "messages conversations conversation dialogue dialog turns chat data".split()
)
"""Columns with the messages of a conversation."""

QUESTION = tuple(
    "instruction prompt question query problem user human inputs input".split()
)
ANSWER = tuple(
    "output completion answer response solution assistant targets target".split()
)
"""Columns of one question and one answer. The first one with text is used."""

CONTEXT = ("context",)
"""Columns of text that belongs to the question."""

SYSTEM = tuple(
    """
    system system_prompt system_message system_instruction system_instructions
    system_msg sys_prompt meta_instruction
    """.split()
)
"""Columns of the system message; `meta_instruction` is that of MOSS."""

REASONING = tuple(
    "reasoning reasoning_content thinking complex_cot chain_of_thought".split()
)
"""Columns of the text that precedes the answer."""

SWITCHES = frozenset("on off yes no true false none low medium high".split())
"""Values of a column such as `reasoning` that only says whether there is any."""

PREFERENCE = tuple(
    """
    chosen rejected chosen_message rejected_message chosen_messages rejected_messages
    chosen_response rejected_response
    """.split()
)

OTHERS_CONTENT = frozenset(
    """
    article articles choices completions context contexts cot document documents
    examples excerpt evidence functions history input instances knowledge_base
    meta_prompt options output paragraph passage passages rationale rationales
    reference_document retrieved_documents text_context thought thoughts
    """.split()
).union(TURNS, CONTEXT, SYSTEM, REASONING, PREFERENCE)
"""Columns that some kind of training reads. They are not dropped from any row, while
other text beside messages is."""

QUESTION_SIDE = frozenset(
    """
    article articles choices context contexts document documents examples excerpt
    history input knowledge_base options paragraph passage passages reference_document
    retrieved_documents text_context
    """.split()
)
"""Those that a question refers to. That the answer repeats one is not enough."""

METADATA = frozenset(
    """
    annotator annotators author bucket cat categories category checksum cluster
    complexity conversation_hash copyright country country_code created creator dataset
    datasets date datetime
    detoxify_moderation difficulty doc_id domain embedding embeddings file filename
    flags format generator grade group hash hashed_ip header id idx index intent
    intents key keyword keywords kind labels_en lang language
    language_code languages level license link
    links locale meta metadata model models moderation motivation_app name notes num
    openai_moderation origin page path persona resource
    used_in_training prompt_hash provider quality rank
    rating redacted ref
    region score scores section seed set sha256 sha1 md5 skill skills source sources
    split state statistics stats status subcategory subject subset subtask
    supporting_facts synset tag tags task task_description tasks timestamp title
    tokens topic topics toxic type types uid url urls user_id uuid version website
    """.split()
)
"""Columns that describe a row. They are left out and counted."""

METADATA_ENDINGS = tuple(
    """
    _at _by _category _categories _count _counts _date _difficulty _domain _file
    _fingerprint
    _filename _from _hash _id _ids _idx _index _key _lang _language _len _length _level
    _license _metadata _model _name _path _quality _rating _region _score _scores
    _source _split _stats _subject _tag _tags _task _time _timestamp _tokens _topic
    _type _types _url _urls _uuid _valid _version
    """.split()
)
METADATA_STARTS = ("_", "unnamed:", "meta_", "num_", "is_", "has_", "n_")

TURN_METADATA = frozenset(
    """
    annotations author citations completion_tokens content_type cost country create_time
    created created_at date duration end_turn feedback finish_reason hash hashed_ip
    header id index input_tokens is_error lang language latency logprobs message_id
    model num_tokens object order output_tokens parent_id position prompt_tokens rank
    rating redacted refusal score source state status stop_reason stop_sequence
    timestamp token_count token_ids tokens toxic turn turn_id turn_identifier turn_index
    turn_number updated_at url usage user_id uuid
    """.split()
)
"""Keys of a message that describe it. They are left out and counted."""
