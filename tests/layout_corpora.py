"""Tiny corpora in known layouts: for each command of a layout its files and its clips."""

import bz2
import dataclasses
import gzip
import json
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Case:
    """A corpus and what a command makes of it.

    Attributes:
      tables: Text by path.
      audio: Paths of recordings.
      clips: `(id, path, start, end, labels, split)` of each clip, sorted; times as text.
      failures: Parts of the messages of rows and files that are no clip.
    """

    tables: dict[str, str]
    audio: list[str]
    clips: list[tuple[str, str, str, str, tuple[str, ...], str]]
    failures: tuple[str, ...] = ()

    def write(self, folder: Path, audio: bytes = b"") -> None:
        """Writes the corpus into a folder."""
        for path, text in self.tables.items():
            data = text.encode()
            if path.endswith(".gz"):
                data = gzip.compress(data)
            elif path.endswith(".bz2"):
                data = bz2.compress(data)
            _write(folder / path, data)
        for path in self.audio:
            _write(folder / path, audio)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def _whole(
    id: str, path: str, *labels: str, split: str = ""
) -> tuple[str, str, str, str, tuple[str, ...], str]:
    return id, path, "0", "", labels, split


_YOUTUBE = "-0Gj8-vB1q4"
_JSON_SOURCE = {"type": "file", "channels": [0], "source": "audio/r1.flac"}
_RECORDING = {
    "id": "r1",
    "sources": [_JSON_SOURCE],
    "sampling_rate": 16000,
    "num_samples": 64000,
    "duration": 4.0,
}
_PIPED = {**_RECORDING, "id": "r2", "sources": [{**_JSON_SOURCE, "type": "command"}]}
_SUPERVISION = {
    "id": "s1",
    "recording_id": "r1",
    "start": 0.5,
    "duration": 1.25,
    "channel": 0,
    "text": "hi",
    "speaker": "ann",
}
_CUT = {
    "id": "c1",
    "start": 0.5,
    "duration": 1.2,
    "channel": 0,
    "supervisions": [_SUPERVISION],
    "recording": _RECORDING,
    "type": "MonoCut",
}
_RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"

CASES: dict[str, Case] = {
    "--manifest meta/esc50.csv": Case(
        {
            "meta/esc50.csv": _lines(
                "filename,fold,target,category,esc10,src_file,take",
                "1-100032-A-0.wav,1,0,dog,True,100032,A",
                "1-100038-A-14.wav,x,14,chirping_birds,False,100038,A",
            )
        },
        ["audio/1-100032-A-0.wav"],
        [_whole("1-100032-A-0.wav", "audio/1-100032-A-0.wav", "dog")],
        ("fold='x' is not as in the layout esc50",),
    ),
    "--manifest metadata/UrbanSound8K.csv": Case(
        {
            "metadata/UrbanSound8K.csv": _lines(
                "slice_file_name,fsID,start,end,salience,fold,classID,class",
                "100032-3-0-0.wav,100032,4.5,8.5,1,5,3,dog_bark",
            )
        },
        ["audio/fold5/100032-3-0-0.wav"],
        [_whole("100032-3-0-0.wav", "audio/fold5/100032-3-0-0.wav", "dog_bark")],
    ),
    "--manifest FSD50K.ground_truth/dev.csv": Case(
        {
            "FSD50K.ground_truth/dev.csv": _lines(
                "fname,labels,mids,split",
                '64760,"Electric_guitar,Guitar,Music","/m/02sgy,/m/0342h,/m/04rlf",train',
                '16399,"Bark","/m/05tny_",val',
            )
        },
        ["FSD50K.dev_audio/64760.wav", "FSD50K.dev_audio/16399.wav"],
        [
            _whole("16399", "FSD50K.dev_audio/16399.wav", "Bark", split="val"),
            _whole(
                *("64760", "FSD50K.dev_audio/64760.wav"),
                *("Electric_guitar", "Guitar", "Music"),
                split="train",
            ),
        ],
    ),
    "--manifest FSD50K.ground_truth/eval.csv": Case(
        {
            "FSD50K.ground_truth/eval.csv": _lines(
                "fname,labels,mids", '37199,"Bark,Dog","/m/05tny_,/m/0bt9lr"'
            )
        },
        ["FSD50K.eval_audio/37199.wav"],
        [_whole("37199", "FSD50K.eval_audio/37199.wav", "Bark", "Dog")],
    ),
    "--manifest FSDKaggle2018.meta/train_post_competition.csv": Case(
        {
            "FSDKaggle2018.meta/train_post_competition.csv": _lines(
                "fname,label,manually_verified,freesound_id,license",
                "00044347.wav,Hi-hat,0,28739,Attribution",
            )
        },
        ["FSDKaggle2018.audio_train/00044347.wav"],
        [_whole("00044347.wav", "FSDKaggle2018.audio_train/00044347.wav", "Hi-hat")],
    ),
    "--manifest FSDKaggle2018.meta/test_post_competition_scoring_clips.csv": Case(
        {
            "FSDKaggle2018.meta/test_post_competition_scoring_clips.csv": _lines(
                "fname,label,usage,freesound_id,license", "00326aa9.wav,Oboe,Private,355125,CC0"
            )
        },
        ["FSDKaggle2018.audio_test/00326aa9.wav"],
        [_whole("00326aa9.wav", "FSDKaggle2018.audio_test/00326aa9.wav", "Oboe")],
    ),
    "--manifest FSDKaggle2019.meta/train_curated_post_competition.csv": Case(
        {
            "FSDKaggle2019.meta/train_curated_post_competition.csv": _lines(
                "fname,labels,freesound_id,license", '0006ae4e.wav,"Bark,Meow",1,CC0'
            )
        },
        ["FSDKaggle2019.audio_train_curated/0006ae4e.wav"],
        [_whole("0006ae4e.wav", "FSDKaggle2019.audio_train_curated/0006ae4e.wav", "Bark", "Meow")],
    ),
    "--manifest vggsound.csv --audio_root audio/": Case(
        {
            "vggsound.csv": _lines(
                "---g-f_I2yQ,1,people marching,test",
                '--0PQM4-hqg,30,"playing violin, fiddle",train',
            )
        },
        ["audio/---g-f_I2yQ_000001.flac", "audio/--0PQM4-hqg_000030.flac"],
        [
            _whole(
                "---g-f_I2yQ_000001",
                "audio/---g-f_I2yQ_000001.flac",
                "people marching",
                split="test",
            ),
            _whole(
                "--0PQM4-hqg_000030",
                "audio/--0PQM4-hqg_000030.flac",
                "playing violin, fiddle",
                split="train",
            ),
        ],
    ),
    "--manifest train.csv --audio_root audio/ --keep_columns caption": Case(
        {
            "train.csv": _lines(
                "audiocap_id,youtube_id,start_time,caption",
                "91139,r1nicOVtvkQ,130,A woman talks nearby as water pours",
            )
        },
        ["audio/r1nicOVtvkQ.webm"],
        [("91139", "audio/r1nicOVtvkQ.webm", "130", "140", (), "")],
    ),
    "--manifest train.csv --audio_root cut/ --segments_are_cut": Case(
        {
            "train.csv": _lines(
                "audiocap_id,youtube_id,start_time,caption",
                "91139,r1nicOVtvkQ,130,A woman talks nearby as water pours",
            )
        },
        ["cut/r1nicOVtvkQ.wav"],
        [_whole("91139", "cut/r1nicOVtvkQ.wav")],
    ),
    "--manifest musiccaps-public.csv --audio_root audio/ --segments_are_cut": Case(
        {
            "musiccaps-public.csv": _lines(
                "ytid,start_s,end_s,audioset_positive_labels,aspect_list,caption,author_id,"
                "is_balanced_subset,is_audioset_eval",
                f"{_YOUTUBE},30,40,\"/m/0140xf,/m/02cjck\",\"['low quality', 'loud']\","
                '"A caption, with comma",4,False,True',
            )
        },
        [f"audio/{_YOUTUBE}.wav"],
        [_whole(_YOUTUBE, f"audio/{_YOUTUBE}.wav", "/m/0140xf", "/m/02cjck")],
    ),
    "--manifest audioset_eval_strong.tsv --audio_root audio/": Case(
        {
            "audioset_eval_strong.tsv": _lines(
                "segment_id\tstart_time_seconds\tend_time_seconds\tlabel",
                "s9d-2nhuJCQ_30000\t0.000\t3.627\t/m/053hz1",
            )
        },
        ["audio/s9d-2nhuJCQ_30000.flac"],
        [
            (
                "s9d-2nhuJCQ_30000.flac#0-3.627",
                "audio/s9d-2nhuJCQ_30000.flac",
                "0",
                "3.627",
                ("/m/053hz1",),
                "",
            )
        ],
    ),
    "--manifest validation.tsv --audio_root audio/": Case(
        {
            "validation.tsv": _lines(
                "filename\tonset\toffset\tevent_label",
                "a.wav\t0.2\t1.5\tDog",
                "b.wav\t\t\t",
            )
        },
        ["audio/a.wav", "audio/b.wav"],
        [
            ("a.wav#0.2-1.5", "audio/a.wav", "0.2", "1.5", ("Dog",), ""),
            _whole("b.wav", "audio/b.wav"),
        ],
    ),
    "--manifest weak.tsv --audio_root audio/": Case(
        {"weak.tsv": _lines("filename\tevent_labels", "a.wav\tDog,Speech")},
        ["audio/a.wav"],
        [_whole("a.wav", "audio/a.wav", "Dog", "Speech")],
    ),
    "--manifest sub-01_task-listen_events.tsv": Case(
        {
            "sub-01_task-listen_events.tsv": _lines(
                "onset\tduration\ttrial_type\tresponse_time", "1.0\t1.2\tdog\tn/a"
            )
        },
        ["sub-01_task-listen.wav"],
        [
            (
                "sub-01_task-listen.wav#1-2.2",
                "sub-01_task-listen.wav",
                "1.0",
                "2.2",
                ("dog",),
                "",
            )
        ],
    ),
    "--manifest data/autotagging.tsv --audio_root audio/": Case(
        {
            "data/autotagging.tsv": _lines(
                "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS",
                "track_0000214\tartist_000014\talbum_000031\t14/214.mp3\t124.6\tgenre---punkrock",
                "track_0000215\tartist_000014\talbum_000031\t15/215.mp3\t151.4\tgenre---metal"
                "\tmood/theme---dark, slow",
            )
        },
        ["audio/14/214.mp3", "audio/15/215.mp3"],
        [
            _whole("track_0000214", "audio/14/214.mp3", "genre---punkrock"),
            _whole("track_0000215", "audio/15/215.mp3", "genre---metal", "mood/theme---dark, slow"),
        ],
    ),
    "--input genres/ --layout gtzan": Case(
        {},
        ["genres/blues/blues.00000.wav", "genres/rock/rock.00099.au", "genres/rock/other.wav"],
        [
            _whole("blues/blues.00000.wav", "genres/blues/blues.00000.wav", "blues"),
            _whole("rock/rock.00099.au", "genres/rock/rock.00099.au", "rock"),
        ],
        ("not as in the layout gtzan: GENRE/GENRE.00000.wav",),
    ),
    "--input fma_small/ --layout fma": Case(
        {}, ["fma_small/000/000002.mp3"], [_whole("000002", "fma_small/000/000002.mp3")]
    ),
    "--manifest fma_metadata/tracks.csv --audio_root fma_small/": Case(
        {
            "fma_metadata/tracks.csv": _lines(
                ",album,set,set,track,track",
                ",comments,split,subset,duration,genre_top",
                "track_id,,,,,",
                "2,0,training,small,168,Hip-Hop",
                "140,0,test,small,253,",
            )
        },
        ["fma_small/000/000002.mp3", "fma_small/000/000140.mp3"],
        [
            _whole("140", "fma_small/000/000140.mp3", split="test"),
            _whole("2", "fma_small/000/000002.mp3", "Hip-Hop", split="training"),
        ],
    ),
    "--input LibriSpeech/ --layout librispeech": Case(
        {},
        ["LibriSpeech/dev-clean/84/121123/84-121123-0000.flac"],
        [
            _whole(
                "84-121123-0000",
                "LibriSpeech/dev-clean/84/121123/84-121123-0000.flac",
                "84",
                split="dev-clean",
            )
        ],
    ),
    "--manifest cv-corpus/en/train.tsv --keep_columns client_id sentence": Case(
        {
            "cv-corpus/en/train.tsv": _lines(
                "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tlocale"
                "\tsegment",
                'c1\tcommon_voice_en_1.mp3\tHe said "no, never".\t2\t0\t\t\t\ten\t',
            )
        },
        ["cv-corpus/en/clips/common_voice_en_1.mp3"],
        [_whole("common_voice_en_1.mp3", "cv-corpus/en/clips/common_voice_en_1.mp3")],
    ),
    "--manifest LJSpeech-1.1/metadata.csv": Case(
        {
            "LJSpeech-1.1/metadata.csv": _lines(
                'LJ001-0001|Printing, in the "only" sense|Printing, in the "only" sense',
                "LJ001-0002|in being comparatively modern.|in being comparatively modern.",
            )
        },
        ["LJSpeech-1.1/wavs/LJ001-0001.wav", "LJSpeech-1.1/wavs/LJ001-0002.wav"],
        [
            _whole("LJ001-0001", "LJSpeech-1.1/wavs/LJ001-0001.wav"),
            _whole("LJ001-0002", "LJSpeech-1.1/wavs/LJ001-0002.wav"),
        ],
    ),
    "--input wav/ --layout voxceleb": Case(
        {},
        ["wav/id10001/1zcIwhmdeo4/00001.wav"],
        [_whole("id10001/1zcIwhmdeo4/00001.wav", "wav/id10001/1zcIwhmdeo4/00001.wav", "id10001")],
    ),
    "--input speech_commands/ --layout speech_commands": Case(
        {"speech_commands/testing_list.txt": "yes/0a7c2a8d_nohash_0.wav\n"},
        [
            "speech_commands/yes/0a7c2a8d_nohash_0.wav",
            "speech_commands/_background_noise_/pink_noise.wav",
        ],
        [
            _whole(
                "_background_noise_/pink_noise.wav",
                "speech_commands/_background_noise_/pink_noise.wav",
                "_background_noise_",
            ),
            _whole("yes/0a7c2a8d_nohash_0.wav", "speech_commands/yes/0a7c2a8d_nohash_0.wav", "yes"),
        ],
    ),
    "--manifest speech_commands/testing_list.txt": Case(
        {"speech_commands/testing_list.txt": "yes/0a7c2a8d_nohash_0.wav\n"},
        ["speech_commands/yes/0a7c2a8d_nohash_0.wav"],
        [
            _whole(
                "yes/0a7c2a8d_nohash_0.wav",
                "speech_commands/yes/0a7c2a8d_nohash_0.wav",
                "yes",
                split="test",
            )
        ],
    ),
    "--manifest train_metadata.csv": Case(
        {
            "train_metadata.csv": _lines(
                "primary_label,secondary_labels,type,latitude,longitude,filename",
                "abethr1,\"['combul2', 'zebdov']\",\"['song']\",4.3,38.2,abethr1/XC128013.ogg",
                "abhori1,[],['call'],4.3,38.2,abhori1/XC120250.ogg",
            )
        },
        ["train_audio/abethr1/XC128013.ogg", "train_audio/abhori1/XC120250.ogg"],
        [
            _whole(
                "abethr1/XC128013.ogg",
                "train_audio/abethr1/XC128013.ogg",
                *("abethr1", "combul2", "zebdov"),
            ),
            _whole("abhori1/XC120250.ogg", "train_audio/abhori1/XC120250.ogg", "abhori1"),
        ],
    ),
    "--manifest BirdNET_CombinedTable.csv --audio_root recordings/": Case(
        {
            "BirdNET_CombinedTable.csv": _lines(
                "Start (s),End (s),Scientific name,Common name,Confidence,File",
                "0.0,3.0,Turdus merula,Eurasian Blackbird,0.9,/old/place/a.wav",
            )
        },
        ["recordings/a.wav"],
        [("a.wav#0-3", "recordings/a.wav", "0.0", "3.0", ("Turdus merula",), "")],
    ),
    "--manifest a.BirdNET.selection.table.txt": Case(
        {
            "a.BirdNET.selection.table.txt": _lines(
                f"{_RAVEN}\tCommon Name\tSpecies Code\tConfidence\tBegin Path\tFile Offset (s)",
                "1\tSpectrogram 1\t1\t63.0\t66.0\t0\t12000\tSora\tsora\t0.7\tC:\\rec\\a.wav\t3.0",
            )
        },
        ["a.wav"],
        [("a.wav#3-6", "a.wav", "3.0", "6.0", ("Sora",), "")],
    ),
    "--manifest a.Table.1.selections.txt": Case(
        {
            "a.Table.1.selections.txt": _lines(
                f"{_RAVEN}\tSpecies", "1\tSpectrogram 1\t2\t0.5\t2.0\t1000\t8000\tAMRO"
            )
        },
        ["a.wav"],
        [("a.wav@2#0.5-2", "a.wav", "0.5", "2.0", ("AMRO",), "")],
    ),
    "--manifest meeting.txt": Case(
        {
            "meeting.txt": _lines(
                "0.000000\t1.200000\tspeech, loud",
                "\\\t200.000000\t4000.000000",
                "1.500000\t2.000000\tdog",
            )
        },
        ["meeting.flac"],
        [
            ("meeting.flac#0-1.2", "meeting.flac", "0", "1.2", ("speech, loud",), ""),
            ("meeting.flac#1.5-2", "meeting.flac", "1.5", "2", ("dog",), ""),
        ],
    ),
    "--manifest data/train/wav.scp": Case(
        {
            "data/train/wav.scp": _lines(
                "utt1 wavs/my file.wav", "utt2 sph2pipe -f wav -p x.sph |", "utt3 wavs/a.ark:15"
            ),
            "data/train/utt2spk": _lines("utt1 ann"),
        },
        ["wavs/my file.wav"],
        [_whole("utt1", "wavs/my file.wav", "ann")],
        ("a command whose output is the recording is not run", "within an archive of Kaldi"),
    ),
    "--manifest data/train/segments": Case(
        {
            "data/train/wav.scp": _lines("rec1 wavs/rec1.wav"),
            "data/train/segments": _lines(
                "utt1-0001 rec1 0.5 2.3", "utt1-0002 rec1 2.5 4.0", "utt2-0001 rec2 0.0 1.0"
            ),
            "data/train/utt2spk": _lines("utt1-0001 ann", "utt1-0002 bob"),
        },
        ["wavs/rec1.wav"],
        [
            ("utt1-0001", "wavs/rec1.wav", "0.5", "2.3", ("ann",), ""),
            ("utt1-0002", "wavs/rec1.wav", "2.5", "4.0", ("bob",), ""),
        ],
        ("recording='rec2' has no wav",),
    ),
    "--manifest recordings.jsonl.gz": Case(
        {"recordings.jsonl.gz": _lines(json.dumps(_RECORDING), json.dumps(_PIPED))},
        ["audio/r1.flac"],
        [_whole("r1", "audio/r1.flac")],
        ("only recordings in files can be read",),
    ),
    "--manifest supervisions.jsonl.gz": Case(
        {
            "recordings.jsonl.gz": _lines(json.dumps(_RECORDING)),
            "supervisions.jsonl.gz": _lines(json.dumps(_SUPERVISION)),
        },
        ["audio/r1.flac"],
        [("s1", "audio/r1.flac", "0.5", "1.75", ("ann",), "")],
    ),
    "--manifest cuts.jsonl.gz": Case(
        {
            "cuts.jsonl.gz": _lines(
                json.dumps(_CUT),
                json.dumps({**_CUT, "id": "c2", "type": "MixedCut"}),
                json.dumps(
                    {**_CUT, "id": "c3", "recording": {**_RECORDING, "transforms": [{"name": "S"}]}}
                ),
            )
        },
        ["audio/r1.flac"],
        [("c1", "audio/r1.flac", "0.5", "1.7", (), "")],
        ("type='MixedCut' is not as in the layout lhotse", "transformed by Lhotse"),
    ),
    "--manifest manifest.json": Case(
        {
            "manifest.json": _lines(
                '{"audio_filepath": "a.wav", "offset": 0.5, "duration": 1.2, "label": "yes"}',
                '{"audio_filepath": "b.wav", "duration": 2.0, "label": "no"}',
            )
        },
        ["a.wav", "b.wav"],
        [
            ("a.wav#0.5-1.7", "a.wav", "0.5", "1.7", ("yes",), ""),
            ("b.wav#0-2", "b.wav", "0", "2.0", ("no",), ""),
        ],
    ),
    "--manifest train.tsv": Case(
        {"train.tsv": _lines("audio", "a.flac\t32000", "b.flac\t48000")},
        ["audio/a.flac", "audio/b.flac"],
        [_whole("a.flac", "audio/a.flac"), _whole("b.flac", "audio/b.flac")],
    ),
    "--manifest train.csv": Case(
        {"train.csv": _lines("wav_filename,wav_filesize,transcript", "a.wav,32044,hi")},
        ["a.wav"],
        [_whole("a.wav", "a.wav")],
    ),
    "--manifest train.csv --audio_root data/": Case(
        {
            "train.csv": _lines(
                "ID,duration,wav,start,stop,spk_id",
                "s1--a_0.0_3.0,6.2,$data_root/a.wav,0,48000,s1",
            )
        },
        ["data/a.wav"],
        [("s1--a_0.0_3.0", "data/a.wav", "0", "3", ("s1",), "")],
    ),
    "--manifest train.json --audio_root data/": Case(
        {
            "train.json": json.dumps(
                {
                    "u1": {"wav": "{data_root}/a.wav", "length": 2.5, "spk_id": "s1"},
                    "u2": {"wav": "{data_root}/b.wav", "length": 2.5, "spk_id": "s2"},
                }
            )
        },
        ["data/a.wav", "data/b.wav"],
        [_whole("u1", "data/a.wav", "s1"), _whole("u2", "data/b.wav", "s2")],
    ),
    "--manifest datafile.json": Case(
        {
            "datafile.json": json.dumps(
                {
                    "data": [
                        {"wav": "a.flac", "labels": "/m/068hy,/m/07q6cd_"},
                        {"wav": "b.flac", "labels": "/m/09x0r"},
                    ]
                },
                indent=1,
            )
        },
        ["a.flac", "b.flac"],
        [
            _whole("a.flac", "a.flac", "/m/068hy", "/m/07q6cd_"),
            _whole("b.flac", "b.flac", "/m/09x0r"),
        ],
    ),
    "--manifest metadata.csv": Case(
        {"metadata.csv": _lines("file_name,transcription", "data/a.wav,hello")},
        ["data/a.wav"],
        [_whole("data/a.wav", "data/a.wav")],
    ),
    "--manifest metadata.jsonl": Case(
        {"metadata.jsonl": '{"file_name": "data/a.wav", "transcription": "hello"}\n'},
        ["data/a.wav"],
        [_whole("data/a.wav", "data/a.wav")],
    ),
    "--input folder/ --layout audiofolder": Case(
        {},
        ["folder/train/dog/a.wav", "folder/train/cat/b.wav", "folder/test/c.wav"],
        [
            _whole("test/c.wav", "folder/test/c.wav", split="test"),
            _whole("train/cat/b.wav", "folder/train/cat/b.wav", "cat", split="train"),
            _whole("train/dog/a.wav", "folder/train/dog/a.wav", "dog", split="train"),
        ],
    ),
}
