// What a page does to reach an NHI card through NHI's component (docs/nhi-component.md): a WebSocket to this
// device, one text for each command, and a bare number where it cannot be done.

/** A number of the component; 0 where it cannot be reached. */
export class NhiComponentError extends Error {
  constructor(code) {
    super(code ? `NHI component ${code}` : "the NHI component cannot be reached");
    this.code = code;
  }
}

/** Reads the card and asks for its signature, in the order of NHI's own pages. */
export async function readThroughComponent(address) {
  const ask = await open(address);
  try {
    const [number, idNumber, name, birth, sex, flag] = (await ask("GetBasic")).split(",");
    const version = await ask("GetVersion");
    const random = await ask("GetRandom");
    const card = { number, idNumber, name, birth, sex, flag };
    try {
      return { card, signature: await ask(`H_Sign?Random=${version}${random}`), refused: 0 };
    } catch (error) {
      return { card, signature: null, refused: error.code };
    }
  } finally {
    ask.close();
  }
}

function open(address) {
  return new Promise((resolve, reject) => {
    const unreachable = () => reject(new NhiComponentError(0));
    if (!address) {
      unreachable();
      return;
    }
    const socket = new WebSocket(address);
    let waiting = null;
    const ask = (command) =>
      new Promise((answered, refused) => {
        waiting = { name: command.split("?")[0], answered, refused };
        socket.send(command);
      });
    ask.close = () => socket.close();
    socket.onopen = () => resolve(ask);
    socket.onclose = () => {
      unreachable();
      waiting?.refused(new NhiComponentError(0));
    };
    socket.onmessage = ({ data }) => {
      if (/^\d+$/.test(data)) waiting?.refused(new NhiComponentError(Number(data)));
      else waiting?.answered(data.slice(waiting.name.length + 1));
    };
  });
}
