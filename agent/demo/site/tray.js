// The card tray: puts another simulated card into a reader. Only where the portal's server has simulated readers.

import { openSession, post } from "/static/common.js";

const tray = document.getElementById("tray");
const list = document.getElementById("tray-readers");
const said = document.getElementById("tray-said");

openSession().then(({ tray: state }) => {
  if (!state) return;
  draw(state);
  tray.hidden = false;
}).catch(() => {});

document.getElementById("tray-renew").addEventListener("click", () =>
  change({ renew: true }, "已全部換成新卡。 All cards are new."));

async function change(body, words) {
  said.textContent = "換卡中… Changing…";
  try {
    draw(await post("/api/tray", body));
    said.textContent = words;
  } catch (error) {
    said.textContent = `${error.zh} ${error.en}`;
  }
}

function draw({ choices, readers }) {
  const focused = document.activeElement?.id;
  list.replaceChildren(...readers.map(({ name, kind }, index) => {
    const label = document.createElement("label");
    label.className = "field";
    label.append(`讀卡機 ${index + 1}`);
    const select = document.createElement("select");
    select.id = `tray-${index + 1}`;
    select.append(option("", "（沒有卡片）", "no card"), ...choices.map((one) => option(one.kind, one.zh, one.en)));
    select.value = kind;
    select.addEventListener("change", () => change(
      { reader: name, kind: select.value },
      `讀卡機 ${index + 1}：${select.selectedOptions[0].textContent}`,
    ));
    label.append(select);
    return label;
  }));
  if (focused) document.getElementById(focused)?.focus();
}

function option(value, zh, en) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = zh;
  made.title = en;
  return made;
}
